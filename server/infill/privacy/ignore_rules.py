"""Ignore patterns in git's syntax, matched in time that is linear in the length of a pattern and of a path.

The patterns come from cloned repositories. If every `*` became `[^/]*`, matching could backtrack exponentially. So each wildcard is matched once, at
the leftmost place that fits. The text between two wildcards has a fixed width, or a fixed number of folders between two `**`. So a later place
never succeeds where the leftmost one fails. A pattern is one regular expression, in which all but the last wildcards are atomic.

Syntax: gitignore(5), and git's dir.c and wildmatch.c where the manual is unspecific. As in git, bytes are compared, not characters. An invalid
pattern matches nothing. On macOS and Windows, ASCII letters are compared without regard to case.
"""

from __future__ import annotations

import itertools
import math
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

LONGEST_PATTERN = 1_024
"""Bytes of one pattern; a path segment has at most 255."""
MOST_PATTERNS = 10_000
"""Maximum number of patterns of one ignore file or one setting."""
CASE_BLIND = sys.platform in {"win32", "darwin"}
"""Whether names that differ only in case are the same file: git's `core.ignoreCase`, as git sets it on these systems."""
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9", "graph": r"\x21-\x7e", "lower": "a-z",
    "print": r"\x20-\x7e", "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e", "space": r" \t\n\r", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_NEVER = "(?!)"
_CLASS = re.compile(r"\[:([^\]]*):\]")
_LITERAL = re.compile(r"[^*?\[\\]*")
"""The literal text before the first special character."""
_NUMBERS = itertools.count()
_STARS = re.compile(r"\*+")
_FOLDERS = "(?:[^/]*/)*?"
"""Any number of folders, lazily."""


class NotJudged(Exception):
    """There are too many rules, or they are too long or too slow; the text is the reason, as part of a sentence."""


class _Rule:
    """One line: its pattern, and whether matching paths are ignored or included again."""

    def __init__(self, line: str, *, case_blind: bool) -> None:
        """`line` has one byte in each character."""
        self.negated = line.startswith("!")
        pattern = line[self.negated :]
        self.folders_only = pattern.endswith("/")
        pattern = pattern[: len(pattern) - self.folders_only]
        self._by_name = "/" not in pattern
        self._pattern = pattern.removeprefix("/")
        self._flags = re.DOTALL | (re.IGNORECASE if case_blind else 0)
        literal = _LITERAL.match(self._pattern)
        self._start = literal[0].encode("latin-1") if literal and not case_blind else b""

    def fits(self, path: bytes, name: bytes) -> bool:
        """Whether it matches a path below the rule's folder; `name` is the last segment."""
        text = name if self._by_name else path
        return text.startswith(self._start) and self._expression.fullmatch(text) is not None

    @cached_property
    def _expression(self) -> re.Pattern[bytes]:
        """Compiled on first use: most rules of a large file begin with another literal than the path."""
        first, *others = _split(_units(self._pattern, folders=not self._by_name), _FOLDERS)
        parts = [_segments(first)]
        for number, group in enumerate(others, 1):
            text = _FOLDERS + _segments(group)
            parts.append(text if number == len(others) else _atomic(text))
        return re.compile("".join(parts).encode("latin-1"), self._flags)


class IgnoreRules:
    """The rules of one ignore file, or of one setting."""

    def __init__(self, lines: Iterable[str] = (), *, case_blind: bool = CASE_BLIND) -> None:
        """Raises NotJudged if there are too many, or one is too long."""
        rules: list[_Rule] = []
        for line in lines:
            octets = _octets(line).decode("latin-1").partition("\0")[0]  # in git, NUL ends a line's text
            if len(octets) > LONGEST_PATTERN:
                raise NotJudged(f"a pattern is longer than {LONGEST_PATTERN} bytes")
            if len(rules) == MOST_PATTERNS:
                raise NotJudged(f"it has more than {MOST_PATTERNS} patterns")
            if (kept := _trimmed(octets)) and not kept.startswith("#"):
                rules.append(_Rule(kept, case_blind=case_blind))
        self._rules = rules[::-1]

    def verdict(self, path: Sequence[str], *, folder: bool = False, until: float = math.inf) -> bool | None:
        """Whether the last rule that matches `path` (its segments) ignores it; None: no rule matches. Parent folders are not considered.

        Raises NotJudged if the CPU time of this thread passes `until`. CPU time is used so that a busy machine does not change the result.
        """
        whole = _octets("/".join(path))
        name = whole.rpartition(b"/")[2]
        for rule in self._rules:
            if time.thread_time() > until:
                raise NotJudged("its patterns take too long to evaluate")
            if (folder or not rule.folders_only) and rule.fits(whole, name):
                return not rule.negated
        return None

    def ignores(self, path: str, until: float = math.inf) -> bool:
        """Whether a file (relative, with slashes) or one of its parent folders is ignored. Raises as `verdict`."""
        parts = path.split("/") if self._rules else []
        return any(self.verdict(parts[:depth], folder=depth < len(parts), until=until) for depth in range(1, len(parts) + 1))


def lines_of(content: bytes) -> list[str]:
    """The lines of an ignore file, split as in git; bytes that are not UTF-8 are kept as in file names."""
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _octets(text: str) -> bytes:
    """The bytes of a pattern or a path, including those that are not UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that encode no byte, from Windows file names or an editor
        return text.encode("utf-8", "surrogatepass")


def _trimmed(line: str) -> str:
    """The line without trailing spaces, except an escaped one."""
    kept = line.rstrip(" ")
    escaped = (len(kept) - len(kept.rstrip("\\"))) % 2 == 1
    return f"{kept} " if escaped and len(kept) < len(line) else kept


def _split(units: Iterable[str], separator: str) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for unit in units:
        if unit == separator:
            groups.append([])
        else:
            groups[-1].append(unit)
    return groups


def _segments(units: Iterable[str]) -> str:
    """The regular expression of consecutive segments."""
    return "/".join(_segment(segment) for segment in _split(units, "/"))


def _segment(units: Iterable[str]) -> str:
    """The regular expression of one segment. Its last star needs no atomic group: a slash or the end of the path follows, so only one place fits."""
    first, *others = ("".join(chunk) for chunk in _split(units, "*"))
    *middle, last = others or [""]
    return first + "".join(_atomic(f"[^/]*?{chunk}") for chunk in middle) + (f"[^/]*{last}" if others else "")


def _atomic(expression: str) -> str:
    """An atomic group as a look-ahead with a backreference, because Python's `re` has atomic groups only from 3.11 on."""
    name = f"g{next(_NUMBERS)}"
    return f"(?=(?P<{name}>{expression}))(?P={name})"


def _units(pattern: str, *, folders: bool) -> Iterator[str]:
    """A pattern as `/`, `*`, `_FOLDERS`, and regular expressions of one byte each; the last one may match all the rest.

    With `folders`, two stars match any number of folders at the start or after a slash, and before a slash or at the end. As in git, though not in
    its manual, they also do so after a literal beginning (`a**/b` matches `ab`). Elsewhere they are one star.
    """
    literal = _LITERAL.match(pattern)
    start, place = literal.end() if literal else 0, 0
    while place < len(pattern):
        before, character = place, pattern[place]
        place += 1
        if stars := _STARS.match(pattern, before):
            place = stars.end()
            deep = folders and len(stars[0]) > 1 and (before == start or pattern[before - 1] == "/")
            units, place = _stars(pattern, place) if deep else (("*",), place)
            yield from units
        elif character == "?":
            yield "[^/]"
        elif character == "[":
            expression, place = _set(pattern, place)
            yield expression
        elif character == "\\":
            yield re.escape(pattern[place]) if place < len(pattern) else _NEVER
            place += 1
        else:
            yield re.escape(character)


def _stars(pattern: str, place: int) -> tuple[tuple[str, ...], int]:
    """The units of several stars before `place` where they may match folders, and the position after them."""
    if place == len(pattern):
        return (".*",), place
    if pattern[place] == "/":
        return (_FOLDERS,), place + 1
    if pattern[place : place + 2] == "\\/":  # at least one folder
        return ("*", "/", _FOLDERS), place + 2
    return ("*",), place


def _set(pattern: str, place: int) -> tuple[str, int]:
    """The set that begins after the bracket before `place`, as a regular expression, and the position after it."""
    negated = pattern[place : place + 1] in {"!", "^"}
    place += negated
    start, before, members = place, "", ""
    while (character := pattern[place : place + 1]) and (character != "]" or place == start):
        if found := _CLASS.match(pattern, place):
            if found[1] not in _CLASSES:
                return _NEVER, len(pattern)
            members, before, place = members + _CLASSES[found[1]], "", found.end()
        elif character == "-" and before and pattern[place + 1 : place + 2] not in {"", "]"}:
            character, place = _member(pattern, place + 1)
            members += f"{re.escape(before)}-{re.escape(character)}" if before <= character else ""
            before = ""
        else:
            before, place = _member(pattern, place)
            members += re.escape(before)
    if pattern[place : place + 1] != "]" or place == start:
        return _NEVER, len(pattern)  # not closed
    if negated:
        return f"[^/{members}]", place + 1
    return (f"(?!/)[{members}]" if members else _NEVER), place + 1


def _member(pattern: str, place: int) -> tuple[str, int]:
    """The character of a set at `place`, and the position after it."""
    place += pattern[place] == "\\"
    return pattern[place : place + 1], place + 1
