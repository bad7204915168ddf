"""Removes repetition, which small models often generate: loops, repeated lines, the line above again. Pure."""

from __future__ import annotations

from infill.completion.place import Place

SIGNIFICANT = 4
"""Minimum number of letters and digits for a repetition to count: closing brackets, `end` and `fi` repeat in correct code."""
LONGEST_PERIOD = 80
"""Maximum number of characters in the period of a loop within one line."""
SHORTEST_LOOP = 32
"""Minimum number of characters of all repetitions together."""
TURNS = 4
SUSPICIOUS_LOOP, SUSPICIOUS_TURNS = 16, 2.5
"""The same for a possible loop: two repetitions, because the last one may be unfinished. In 100,000 lines, most of them from Python's standard
library, 0.1 % match at some point while they grow.
"""
SHORT_PERIOD, MANY_TURNS = 6, 16
"""Short periods need more repetitions: `0, 0, 0, 0, ` is usually an array."""
LONGEST_LOOP = 12
"""Maximum number of lines in the period of a loop of lines."""


def loop_in_a_line_cut(text: str, place: Place) -> str:
    """Keep the first repetition of a loop at the end of a line: `a, b, a, b, a, b, a, b`, four or more times."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        shorter = once(line)
        if shorter != line:
            return "\n".join([*lines[:number], shorter])
    return text


def in_circles(text: str) -> bool:
    """Whether the unfinished last line already repeats itself."""
    line = text[text.rfind("\n") + 1 :]
    return once(line) != line


def before_a_loop(text: str) -> str:
    """The text with only the first repetition of a possible loop in its last line; empty if there is none. It is correct whatever follows."""
    start = text.rfind("\n") + 1
    shorter = once(text[start:], SUSPICIOUS_LOOP, SUSPICIOUS_TURNS)
    return text[:start] + shorter if shorter != text[start:] else ""


def once(line: str, shortest: int = SHORTEST_LOOP, turns: float = TURNS) -> str:
    """The line with a loop at its end reduced to its first repetition."""
    body = line.rstrip()
    for period in range(3, min(LONGEST_PERIOD, len(body) // 3) + 1):
        start = len(body)
        while start > period and body[start - 1] == body[start - 1 - period]:
            start -= 1
        length = len(body) - start + period  # of all repetitions; the last one may be unfinished
        enough = MANY_TURNS if period < SHORT_PERIOD else turns
        if length > (enough - 0.5) * period and length >= shortest and _letters(body[-period:]):
            return body[:start].rstrip()
    return line


def repeated_lines_cut(text: str, place: Place) -> str:
    """Keep the first of lines, or blocks of lines, that are repeated directly."""
    lines = text.split("\n")
    keys = [(place.line_before + lines[0]).rstrip(), *(line.rstrip() for line in lines[1:])]
    for first in range(len(keys)):
        for length in range(1, min(LONGEST_LOOP, len(keys) - first - 1) + 1):
            again = keys[first + length : first + 2 * length]
            if again != keys[first : first + length][: len(again)] or sum(map(_letters, again)) < SIGNIFICANT:
                continue
            if len(again) == length and _counts(length, keys[first + 2 * length :], again):
                return "\n".join(lines[: first + length])
    return text


def _counts(length: int, following: list[str], again: list[str]) -> bool:
    """Whether it is a loop: one line three times (tables have two), a block twice and then its next line or the end."""
    if length == 1:
        return following[:1] == again
    return not any(following) or following[0] == again[0]


def line_above_not_repeated(text: str, place: Place) -> str:
    """Empty if the suggestion's first line is equal to the line above."""
    above = next((line for line in reversed(place.above.split("\n")) if line.strip()), "").rstrip()
    first = (place.line_before + text.partition("\n")[0]).rstrip()
    return "" if first == above and _letters(first) >= SIGNIFICANT else text


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)
