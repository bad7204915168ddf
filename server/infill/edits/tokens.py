"""Lines as tokens: their shapes, and the difference of two lines. Pure; the same for all languages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

from infill.edits.hunks import Hunk

_TOKEN = re.compile(r"[^\W\d]\w*|\d[\w.]*|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`|\s+|[^\w\s]")
_NAME = re.compile(r"[^\W\d]\w*\Z")
LONGEST_LINE = 500
"""Maximum number of characters; longer lines have no tokens."""
SIMILAR = 0.5
"""Minimum share of equal tokens in the old and new version of a line."""
MOST_COMPARED = 400
"""Maximum number of pairs of lines in a hunk that are compared by tokens; in larger hunks only equal lines are paired."""

_IMPORT = re.compile(r"\s*(?:import|from|use|using|#\s*include|require|package|export\s+\{)\b")

KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
    abstract and as assert async await break case catch class const constexpr continue crate debugger def default del delete do dyn elif else
    enum except explicit export extern fallthrough false False finally fn for foreach from func function go goto if impl implements import in
    instanceof interface is lambda let mod move mut namespace new nil None nonlocal not null or override pass priv private protected pub public
    raise readonly ref register return Self self sizeof static struct super switch this throw throws trait True true try typedef typeof
    undefined union unsafe use using var virtual void volatile while with yield
    """,
    )
)
"""Words that hardly any language allows as names."""


@lru_cache(maxsize=16_384)
def tokens(line: str) -> tuple[str, ...]:
    """Words, numbers, strings, runs of white space and single signs, which joined give the line; empty for a line that is too long."""
    return tuple(_TOKEN.findall(line)) if len(line) <= LONGEST_LINE else ()


def words(line: str) -> list[str]:
    """The tokens of a line without white space."""
    return [token for token in tokens(line) if not token.isspace()]


@lru_cache(maxsize=16_384)
def shape(line: str) -> tuple[str, ...]:
    """The kinds of a line's tokens without white space: `name`, `number`, `string`, or a keyword or sign itself."""
    return tuple(kind(token) for token in words(line))


def kind(token: str) -> str:
    """The kind of a token: `name`, `number`, `string`, or the token itself."""
    if token in KEYWORDS:
        return token
    if is_name(token):
        return "name"
    if token[:1].isdigit():
        return "number"
    return "string" if token[:1] in "\"'`" and len(token) > 1 else token


def is_name(token: str) -> bool:
    """Whether a token is an identifier."""
    return _NAME.match(token) is not None


def indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def opcodes(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """The spans of `old` and `new` that differ."""
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return [(a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def written(old: str, new: str) -> list[str]:
    """The tokens of a line that an edit wrote."""
    before, after = tokens(old), tokens(new)
    return [token for _, _, start, end in opcodes(before, after) for token in after[start:end]]


def pairs(hunk: Hunk) -> list[tuple[int, str, str]]:
    """The lines of a hunk that changed more than their indentation, if the number of lines is unchanged: line of the present text, before, now."""
    if len(hunk.old) != len(hunk.new):
        return []  # the place was rewritten
    rows = zip(range(hunk.first, hunk.end), hunk.old, hunk.new, strict=True)
    return [(number, old, new) for number, old, new in rows if old.strip() != new.strip()]


def aligned(hunk: Hunk) -> list[tuple[int, str | None, str | None]]:
    """A hunk line by line: line of the present text, line before (None: inserted), line now (None: removed)."""
    return [(hunk.first + number, old, new) for number, old, new in _aligned(tuple(hunk.old), tuple(hunk.new))]


@lru_cache(maxsize=512)
def _aligned(old: tuple[str, ...], new: tuple[str, ...]) -> list[tuple[int, str | None, str | None]]:
    if len(old) == len(new):
        return [(number, *pair) for number, pair in enumerate(zip(old, new, strict=True))]
    found: list[tuple[int, str | None, str | None]] = []
    alike = similar if len(old) * len(new) <= MOST_COMPARED else str.__eq__
    before = 0
    for number, line in enumerate(new):
        match = next((at for at in range(before, len(old)) if alike(old[at], line)), None)
        if match is None:
            found.append((number, None, line))
            continue
        found += [(number, gone, None) for gone in old[before:match]]
        found.append((number, old[match], line))
        before = match + 1
    return found + [(len(new), gone, None) for gone in old[before:]]


def similar(one: str, other: str) -> bool:
    """Whether two lines may be the old and new version of one line."""
    if one == other:
        return True
    left, right = words(one), words(other)
    if not left or not right:
        return False
    return SequenceMatcher(None, left, right, autojunk=False).ratio() >= SIMILAR


def is_import(line: str) -> bool:
    """Whether a line is an import; neighbouring imports are independent of each other."""
    return _IMPORT.match(line) is not None
