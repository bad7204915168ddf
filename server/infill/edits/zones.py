"""Where a name stands in a text, and whether that is code, a string or a comment. Pure.

One regular expression a language, made of the lexer's table: coarser than the lexer, and fast enough to read a whole file after each edit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from infill.completion.lexer.languages import ALIASES, Language, language_of

Zone = Literal["code", "string", "comment"]
_HOLE = re.compile(r"(\$?)\{+([^{}\n]*)\}|\$\(([^()\n]*)\)")

_MACROS = frozenset({"rust", "rs"})
"""Languages whose macros interpolate names in braces."""


class Place(NamedTuple):
    """A name in a text."""

    line: int
    column: int
    zone: Zone


def occurrences(lines: Sequence[str], name: str, language: str, first: int = 0, end: int | None = None) -> list[Place]:
    """Where a name stands as a whole word in the lines `first` up to `end`, in order."""
    found = re.compile(rf"(?<![\w$]){re.escape(name)}(?![\w$])")
    text = "\n".join(lines[:end])
    matches = [match.start() for match in found.finditer(text)]
    start = len("\n".join(lines[:first])) + 1 if first else 0
    if not any(at >= start for at in matches):
        return []
    zones = _zones(text, language, matches)
    places, line, begin = [], 0, 0
    for at in matches:
        while (after := text.find("\n", begin)) != -1 and after < at:
            line, begin = line + 1, after + 1
        if line >= first:
            places.append(Place(line, at - begin, zones[at]))
    return places


def _zones(text: str, language: str, places: list[int]) -> dict[int, Zone]:
    zones: dict[int, Zone] = dict.fromkeys(places, "code")
    todo = iter(places)
    place = next(todo, None)
    for match in mask(language).finditer(text):
        while place is not None and place < match.start():
            place = next(todo, None)
        if place is None:
            break
        while place is not None and place < match.end():
            zones[place] = _inside(text, match, place, language)
            place = next(todo, None)
    return zones


def _inside(text: str, match: re.Match[str], place: int, language: str) -> Zone:
    if match.lastgroup == "comment":
        return "comment"
    prefix = re.search(r"\w*\Z", text[max(0, match.start() - 3) : match.start()])
    dollar, always = _holes(language, match[0][0])
    always = always or (language in _MACROS and "!(" in text[text.rfind("\n", 0, match.start()) + 1 : match.start()])
    if not (always or dollar or (prefix and re.search("[fF$]", prefix[0]))):
        return "string"
    for hole in _HOLE.finditer(match[0]):
        group = 3 if hole[3] is not None else 2
        if dollar and group == 2 and not hole[1]:
            continue
        if match.start() + hole.start(group) <= place < match.start() + hole.end(group):
            return "code"
    return "string"


@lru_cache(maxsize=64)
def _holes(language: str, quote: str) -> tuple[bool, bool]:
    """Of a string with this quote: interpolates `${...}`; interpolates whatever stands before the quote."""
    found = [string.holes for string in _known(language).strings if quote in string.opener and string.holes]
    dollar = any(r"\$" in holes for holes in found)
    return dollar, bool(found) and not dollar and ALIASES.get(language, language) != "python"


@lru_cache(maxsize=64)
def mask(language: str) -> re.Pattern[str]:
    """Matches comments (group `comment`) and strings of a language."""
    known = _known(language)
    comments = [rf"{re.escape(opener)}[\s\S]*?(?:{re.escape(closer)}|\Z)" for opener, closer in known.blocks]
    if known.line:
        comments.append(rf"(?:{known.line})[^\n]*")
    strings = [] if known.prose else _strings(known)
    both = [f"(?P<comment>{'|'.join(comments)})"] if comments else []
    if strings:
        both.append(f"(?P<string>{'|'.join(strings)})")
    return re.compile("|".join(both) or r"(?!)")


def _strings(known: Language) -> list[str]:
    openers = [string.opener for string in known.strings]
    found = [rf"{quote}[\s\S]*?(?:{quote}|\Z)" for quote in ('"""', "'''") if any(quote in opener for opener in openers)]
    for quote in "\"'`":
        if any(quote in opener for opener in openers):
            several = any(string.lines for string in known.strings if quote in string.opener and quote * 3 not in string.opener)
            found.append(rf"{quote}(?:[^\\{quote}{'' if several else chr(92) + 'n'}]|\\[\s\S])*{quote}")
    if known.characters:
        found.append(r"'(?:[^\\'\n]|\\[^\n]{1,8}?)'")
    return found


def _known(language: str) -> Language:
    return language_of(language)
