"""Ignore patterns in git's syntax, matched in time that is linear in the length of a pattern and of a path.

The patterns come from cloned repositories. A translation of every `*` to `[^/]*` backtracks exponentially, so each wildcard is matched once, at the
leftmost place that fits: what stands between two wildcards has a fixed width, so a later place can never succeed where the leftmost one fails.
Within a path segment that is one regular expression of atomic groups; between the segments, where `**` stands for any number of folders, a loop.

Syntax: gitignore(5) and wildmatch.c of git, character classes included. As in git, a pattern that makes no sense matches nothing.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

LONGEST_PATTERN = 1_024
"""Characters of one pattern; a path segment has at most 255."""
MOST_PATTERNS = 10_000
"""Patterns of one ignore file or one setting."""
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9", "graph": r"\x21-\x7e", "lower": "a-z",
    "print": r"\x20-\x7e", "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e", "space": r" \t\n\r\f\v", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_NEVER = "(?!)"
_CLASS = re.compile(r"\[:([^\]]*):\]")


class NotJudged(Exception):
    """Rules that are too many, too long or too slow to be evaluated; the text is the reason, as a sentence part."""


class _Segment:
    """One segment of a pattern, compared with one segment of a path."""

    def __init__(self, units: Sequence[str]) -> None:
        self._units = units

    def fits(self, name: str) -> bool:
        return self._expression.fullmatch(name) is not None

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        """Compiled when it is first needed: most rules of a large file are never reached."""
        first, *others = _split(self._units, "*")
        parts = ["".join(first)]
        for number, chunk in enumerate(others, 1):
            text = "".join(chunk)
            # a look-ahead is never gone back into: with its backreference it is an atomic group, which Python has from 3.11 on
            parts.append(f".*{text}" if number == len(others) else f"(?=(?P<g{number}>.*?{text}))(?P=g{number})" if text else "")
        return re.compile("".join(parts), re.DOTALL)


class _Rule:
    """One line: what it matches, and whether that is ignored or included again."""

    def __init__(self, line: str) -> None:
        self.negated = line.startswith("!")
        pattern = line[self.negated :]
        self.folders_only = pattern.endswith("/")
        pattern = pattern[: len(pattern) - self.folders_only]
        groups: list[list[_Segment]] = [[]] if "/" in pattern else [[], []]
        for units in _split(_units(pattern.removeprefix("/")), "/"):
            if len(units) > 1 and set(units) == {"*"}:
                groups.append([])
            else:
                groups[-1].append(_Segment(units))
        if not groups[-1]:  # `folder/**` is everything in the folder, not the folder itself
            groups[-1].append(_Segment("*"))
        self._groups = groups
        """Segments that follow each other; any number of folders may stand between two groups."""

    def fits(self, path: Sequence[str]) -> bool:
        """Whether it matches this path, given as its segments below the folder of the rule."""
        first, *others = self._groups
        if not _at(first, path, 0):
            return False
        if not others:
            return len(first) == len(path)
        *middle, last = others
        start = len(first)
        for group in middle:
            start = next((place + len(group) for place in range(start, len(path)) if _at(group, path, place)), len(path) + 1)
        end = len(path) - len(last)
        return start <= end and _at(last, path, end)


class IgnoreRules:
    """The rules of one ignore file, or of one setting."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        """Raises NotJudged where there are too many of them, or one is too long."""
        rules: list[_Rule] = []
        for line in lines:
            if len(line) > LONGEST_PATTERN:
                raise NotJudged(f"a pattern is longer than {LONGEST_PATTERN} characters")
            if len(rules) == MOST_PATTERNS:
                raise NotJudged(f"it has more than {MOST_PATTERNS} patterns")
            if (kept := _trimmed(line)) and not kept.startswith("#"):
                rules.append(_Rule(kept))
        self._rules = rules[::-1]

    def verdict(self, path: Sequence[str], *, folder: bool = False, until: float = math.inf) -> bool | None:
        """Whether the last rule that matches `path` (its segments) ignores it; None: no rule does. Folders above are not looked at.

        Raises NotJudged where the CPU time of this thread passes `until`: a busy machine changes no verdict.
        """
        for rule in self._rules:
            if time.thread_time() > until:
                raise NotJudged("its patterns take too long to evaluate")
            if (folder or not rule.folders_only) and rule.fits(path):
                return not rule.negated
        return None

    def ignores(self, path: str, until: float = math.inf) -> bool:
        """Whether a file (relative, with slashes) or a folder that it lies in is ignored. Raises as `verdict`."""
        parts = path.split("/") if self._rules else []
        return any(self.verdict(parts[:depth], folder=depth < len(parts), until=until) for depth in range(1, len(parts) + 1))


def lines_of(text: str) -> list[str]:
    """The lines of an ignore file, as git cuts them."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def _trimmed(line: str) -> str:
    """Without the spaces at its end, but for one that is escaped."""
    kept = line.rstrip(" ")
    escaped = (len(kept) - len(kept.rstrip("\\"))) % 2 == 1
    return f"{kept} " if escaped and len(kept) < len(line) else kept


def _at(group: Sequence[_Segment], path: Sequence[str], place: int) -> bool:
    return place + len(group) <= len(path) and all(segment.fits(path[place + index]) for index, segment in enumerate(group))


def _split(units: Iterable[str], separator: str) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for unit in units:
        if unit == separator:
            groups.append([])
        else:
            groups[-1].append(unit)
    return groups


def _units(pattern: str) -> Iterator[str]:
    """A pattern as `/`, `*`, and regular expressions of one character each."""
    place = 0
    while place < len(pattern):
        character = pattern[place]
        place += 1
        if character in "/*":
            yield character
        elif character == "?":
            yield "."
        elif character == "[":
            expression, place = _set(pattern, place)
            yield expression
        elif character == "\\":
            yield re.escape(pattern[place]) if place < len(pattern) else _NEVER
            place += 1
        else:
            yield re.escape(character)


def _set(pattern: str, place: int) -> tuple[str, int]:
    """The set that begins behind the bracket before `place`, as a regular expression, and where the pattern goes on."""
    negated = pattern[place : place + 1] in {"!", "^"}
    place += negated
    start, before, members = place, "", ""
    while (character := pattern[place : place + 1]) and (character != "]" or place == start):
        if found := _CLASS.match(pattern, place):
            members, before, place = members + _CLASSES.get(found[1], ""), "", found.end()
            if found[1] not in _CLASSES:
                break
        elif character == "-" and before and pattern[place + 1 : place + 2] not in {"", "]"}:
            character, place = _member(pattern, place + 1)
            members += f"{re.escape(before)}-{re.escape(character)}" if before <= character else ""
            before = ""
        else:
            before, place = _member(pattern, place)
            members += re.escape(before)
    if pattern[place : place + 1] != "]" or place == start:
        return _NEVER, len(pattern)  # not closed, or a class that does not exist
    return (f"[{'^' * negated}{members}]" if members else "." if negated else _NEVER), place + 1


def _member(pattern: str, place: int) -> tuple[str, int]:
    """The character of a set at `place`, and where the set goes on."""
    place += pattern[place] == "\\"
    return pattern[place : place + 1], place + 1
