"""Lines as tokens: their shapes, and how one line became another. Pure; the same for all languages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

from infill.edits.hunks import Hunk

_TOKEN = re.compile(r"[^\W\d]\w*|\d[\w.]*|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`|\s+|[^\w\s]")
_NAME = re.compile(r"[^\W\d]\w*\Z")
LONGEST_LINE = 500
"""Characters; longer lines have no tokens here."""
SIMILAR = 0.5
"""Least share of equal tokens of two lines that count as one line before and after."""
MOST_COMPARED = 400
"""Pairs of lines of a hunk that are compared by their tokens; in larger hunks only equal lines belong together."""

KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
    abstract and as assert async await base bool boolean break byte case catch chan char class const constexpr continue crate debugger def default
    defer del delete do double dyn elif else enum except explicit export extends extern fallthrough False final finally float fn for foreach from func
    function global go goto if impl implements import in instanceof int interface is lambda let long loop map match mod module move mut namespace new
    nil None nonlocal not null operator or override package pass priv private protected pub public raise range readonly ref register return self Self
    short signed sizeof static str string struct super switch template this throw throws trait True true false try type typedef typeof undefined
    union unsafe unsigned use using val var virtual void volatile when where while with yield
    """,
    )
)
"""Words that are no names in most languages."""


@lru_cache(maxsize=16_384)
def tokens(line: str) -> tuple[str, ...]:
    """Words, numbers, strings, runs of white space and single signs, which together are the line; none for a line that is too long."""
    return tuple(_TOKEN.findall(line)) if len(line) <= LONGEST_LINE else ()


def words(line: str) -> list[str]:
    """The tokens but white space."""
    return [token for token in tokens(line) if not token.isspace()]


@lru_cache(maxsize=16_384)
def shape(line: str) -> tuple[str, ...]:
    """The kinds of a line's tokens: names, numbers and strings by their kind, keywords and signs by themselves; inner white space does not count."""
    return tuple(kind(token) for token in words(line))


def kind(token: str) -> str:
    """Of a token: `name`, `number`, `string`, or the token itself."""
    if token in KEYWORDS:
        return token
    if is_name(token):
        return "name"
    if token[:1].isdigit():
        return "number"
    return "string" if token[:1] in "\"'`" and len(token) > 1 else token


def is_name(token: str) -> bool:
    """Whether a token has the form of an identifier."""
    return _NAME.match(token) is not None


def indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def opcodes(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """The spans of `old` that became spans of `new`."""
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return [(a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def pairs(hunk: Hunk) -> list[tuple[int, str, str]]:
    """The changed lines of a hunk that have one line before and one after: line of the present text, before, now."""
    found = []
    for number, old, new in aligned(hunk):
        if old is not None and new is not None and old != new:
            found.append((number, old, new))
    return found


def aligned(hunk: Hunk) -> list[tuple[int, str | None, str | None]]:
    """A hunk line by line: line of the present text, line before (None: inserted), line now (None: removed)."""
    if len(hunk.old) == len(hunk.new):
        return [(hunk.first + number, *pair) for number, pair in enumerate(zip(hunk.old, hunk.new, strict=True))]
    found: list[tuple[int, str | None, str | None]] = []
    before = 0
    alike = similar if len(hunk.old) * len(hunk.new) <= MOST_COMPARED else str.__eq__
    for number, line in enumerate(hunk.new):
        match = next((at for at in range(before, len(hunk.old)) if alike(hunk.old[at], line)), None)
        if match is None:
            found.append((hunk.first + number, None, line))
            continue
        found += [(hunk.first + number, old, None) for old in hunk.old[before:match]]
        found.append((hunk.first + number, hunk.old[match], line))
        before = match + 1
    return found + [(hunk.end, old, None) for old in hunk.old[before:]]


def similar(one: str, other: str) -> bool:
    """Whether two lines may be one line before and after an edit."""
    if one == other:
        return True
    left, right = words(one), words(other)
    if not left or not right:
        return False
    return SequenceMatcher(None, left, right, autojunk=False).ratio() >= SIMILAR
