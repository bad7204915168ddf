"""Small models run in circles: loops, repeated lines, the line above once more. Pure."""

from __future__ import annotations

from infill.completion.place import Place

SIGNIFICANT = 4
"""Letters and digits that a line needs before its repetition counts: closing brackets, `end` and `fi` repeat in good code."""
LONGEST_PERIOD = 80
"""Characters of a loop within one line."""
SHORTEST_LOOP = 32
"""Characters of all turns together."""
TURNS = 4
SUSPICIOUS_LOOP, SUSPICIOUS_TURNS = 16, 2.5
"""The same of what may become a loop: two turns, since the last of them may be unfinished. Of 100,000 lines, most of them of Python's library, a
tenth of a percent look so on their way."""
SHORT_PERIOD, MANY_TURNS = 6, 16
"""`0, 0, 0, 0, ` is an array more often than a loop."""
LONGEST_LOOP = 12
"""Lines of a loop of lines."""


def loop_in_a_line_cut(text: str, place: Place) -> str:
    """`a, b, a, b, a, b, a, b` at the end of a line, four times or more: once is enough."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        shorter = once(line)
        if shorter != line:
            return "\n".join([*lines[:number], shorter])
    return text


def in_circles(text: str) -> bool:
    """Whether the line that is being written repeats itself already."""
    line = text[text.rfind("\n") + 1 :]
    return once(line) != line


def before_a_loop(text: str) -> str:
    """The text with the first turn of what may become a loop in its last line, which is right whatever follows; empty where nothing looks so."""
    start = text.rfind("\n") + 1
    shorter = once(text[start:], SUSPICIOUS_LOOP, SUSPICIOUS_TURNS)
    return text[:start] + shorter if shorter != text[start:] else ""


def once(line: str, shortest: int = SHORTEST_LOOP, turns: float = TURNS) -> str:
    """The line with what comes again and again at its end only once."""
    body = line.rstrip()
    for period in range(3, min(LONGEST_PERIOD, len(body) // 3) + 1):
        start = len(body)
        while start > period and body[start - 1] == body[start - 1 - period]:
            start -= 1
        length = len(body) - start + period  # of all turns, the last of which may be unfinished
        enough = MANY_TURNS if period < SHORT_PERIOD else turns
        if length > (enough - 0.5) * period and length >= shortest and _letters(body[-period:]):
            return body[:start].rstrip()
    return line


def repeated_lines_cut(text: str, place: Place) -> str:
    """Lines, or blocks of lines, that come again at once: the first time is kept."""
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
    """One line has to come three times (twice happens in tables), a block twice with its next line or the end right after."""
    if length == 1:
        return following[:1] == again
    return not any(following) or following[0] == again[0]


def line_above_not_repeated(text: str, place: Place) -> str:
    """Nothing where the suggestion's first line is the line above once more."""
    above = next((line for line in reversed(place.above.split("\n")) if line.strip()), "").rstrip()
    first = (place.line_before + text.partition("\n")[0]).rstrip()
    return "" if first == above and _letters(first) >= SIGNIFICANT else text


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)
