"""Ignore patterns in git's syntax, matched in time that is linear in the length of a pattern and of a path.

The patterns come from cloned repositories. A translation of every `*` to `[^/]*` backtracks exponentially, so each wildcard is matched once, at the
leftmost place that fits: what stands between two wildcards has a fixed width (or a fixed number of folders, between two `**`), so a later place can
never succeed where the leftmost one fails. A pattern is one regular expression, in which all but the last wildcards are atomic.

Syntax: gitignore(5), and dir.c and wildmatch.c of git where that page is silent. As in git, bytes are compared, not characters; a pattern that makes
no sense matches nothing; on macOS and Windows upper and lower case of ASCII letters are the same.
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
"""Patterns of one ignore file or one setting."""
CASE_BLIND = sys.platform in {"win32", "darwin"}
"""Whether names differ in case alone mean the same file: git's `core.ignoreCase`, as it sets it on these systems."""
_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9", "graph": r"\x21-\x7e", "lower": "a-z",
    "print": r"\x20-\x7e", "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e", "space": r" \t\n\r", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_NEVER = "(?!)"
_CLASS = re.compile(r"\[:([^\]]*):\]")
_LITERAL = re.compile(r"[^*?\[\\]*")
"""What comes before the first special character."""
_NUMBERS = itertools.count()
_STARS = re.compile(r"\*+")
_FOLDERS = "(?:[^/]*/)*?"
"""Any number of folders, the fewest first."""


class NotJudged(Exception):
    """Rules that are too many, too long or too slow to be evaluated; the text is the reason, as a sentence part."""


class _Rule:
    """One line: what it matches, and whether that is ignored or included again."""

    def __init__(self, line: str, *, case_blind: bool) -> None:
        """`line` holds one byte in each character."""
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
        """Whether it matches a path below the folder of the rule; `name` is its last segment."""
        text = name if self._by_name else path
        return text.startswith(self._start) and self._expression.fullmatch(text) is not None

    @cached_property
    def _expression(self) -> re.Pattern[bytes]:
        """Compiled when it is first needed: most rules of a large file begin with another literal than the path."""
        first, *others = _split(_units(self._pattern, folders=not self._by_name), _FOLDERS)
        parts = [_segments(first)]
        for number, group in enumerate(others, 1):
            text = _FOLDERS + _segments(group)
            parts.append(text if number == len(others) else _atomic(text))
        return re.compile("".join(parts).encode("latin-1"), self._flags)


class IgnoreRules:
    """The rules of one ignore file, or of one setting."""

    def __init__(self, lines: Iterable[str] = (), *, case_blind: bool = CASE_BLIND) -> None:
        """Raises NotJudged where there are too many of them, or one is too long."""
        rules: list[_Rule] = []
        for line in lines:
            octets = _octets(line).decode("latin-1").partition("\0")[0]  # for git, NUL ends a line's text
            if len(octets) > LONGEST_PATTERN:
                raise NotJudged(f"a pattern is longer than {LONGEST_PATTERN} bytes")
            if len(rules) == MOST_PATTERNS:
                raise NotJudged(f"it has more than {MOST_PATTERNS} patterns")
            if (kept := _trimmed(octets)) and not kept.startswith("#"):
                rules.append(_Rule(kept, case_blind=case_blind))
        self._rules = rules[::-1]

    def verdict(self, path: Sequence[str], *, folder: bool = False, until: float = math.inf) -> bool | None:
        """Whether the last rule that matches `path` (its segments) ignores it; None: no rule does. Folders above are not looked at.

        Raises NotJudged where the CPU time of this thread passes `until`: a busy machine changes no verdict.
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
        """Whether a file (relative, with slashes) or a folder that it lies in is ignored. Raises as `verdict`."""
        parts = path.split("/") if self._rules else []
        return any(self.verdict(parts[:depth], folder=depth < len(parts), until=until) for depth in range(1, len(parts) + 1))


def lines_of(content: bytes) -> list[str]:
    """The lines of an ignore file, as git cuts them; bytes that are not UTF-8 are kept as in names of files."""
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _octets(text: str) -> bytes:
    """The bytes of a pattern or a path, those that are not UTF-8 included."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte: names of Windows, or an editor's
        return text.encode("utf-8", "surrogatepass")


def _trimmed(line: str) -> str:
    """Without the spaces at its end, but for one that is escaped."""
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
    """The regular expression of segments that follow each other."""
    return "/".join(_segment(segment) for segment in _split(units, "/"))


def _segment(units: Iterable[str]) -> str:
    """That of one segment. Its last star alone is not atomic: a slash or the end of the path comes next, so it has one place at most."""
    first, *others = ("".join(chunk) for chunk in _split(units, "*"))
    *middle, last = others or [""]
    return first + "".join(_atomic(f"[^/]*?{chunk}") for chunk in middle) + (f"[^/]*{last}" if others else "")


def _atomic(expression: str) -> str:
    """A look-ahead is never gone back into: with its backreference it is an atomic group, which Python has from 3.11 on."""
    name = f"g{next(_NUMBERS)}"
    return f"(?=(?P<{name}>{expression}))(?P={name})"


def _units(pattern: str, *, folders: bool) -> Iterator[str]:
    """A pattern as `/`, `*`, `_FOLDERS`, and regular expressions of one byte each, the last one perhaps of all that is left.

    With `folders`, two stars stand for any number of folders where git says so: at the start or behind a slash or, which its manual does not mention,
    behind a literal beginning (`a**/b` matches `ab`), and before a slash or at the end. Elsewhere they are one star.
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
    """What several stars before `place` stand for where they may stand for folders, and where the pattern goes on."""
    if place == len(pattern):
        return (".*",), place
    if pattern[place] == "/":
        return (_FOLDERS,), place + 1
    if pattern[place : place + 2] == "\\/":  # one folder or more
        return ("*", "/", _FOLDERS), place + 2
    return ("*",), place


def _set(pattern: str, place: int) -> tuple[str, int]:
    """The set that begins behind the bracket before `place`, as a regular expression, and where the pattern goes on."""
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
    """The character of a set at `place`, and where the set goes on."""
    place += pattern[place] == "\\"
    return pattern[place : place + 1], place + 1
