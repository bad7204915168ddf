"""The places of a name in a text, each in code, in a string or in a comment. Pure.

Uses one regular expression per language, made from the lexer's table. It is less exact than the lexer, but fast enough for a whole file after each
edit.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from infill.completion.lexer.languages import ALIASES, Language, language_of

Zone = Literal["code", "string", "comment"]
_HOLE = re.compile(r"(\$?)\{+([^{}\n]*)\}|\$\(([^()\n]*)\)")

_LINE_SIGNS = frozenset("#/%'-;")
"""Signs that can begin a line comment."""
_MACROS = frozenset({"rust", "rs"})
"""Languages whose macros interpolate names in braces."""


class Place(NamedTuple):
    """An occurrence of a name."""

    line: int
    column: int
    zone: Zone


def occurrences(lines: Sequence[str], name: str, language: str, first: int = 0, end: int | None = None) -> list[Place]:
    """The occurrences of a name as a whole word in the lines `first` up to `end`, in order."""
    text = "\n".join(lines[:end])
    start = len("\n".join(lines[:first])) + 1 if first else 0
    found = _whole_words(text, name, start)
    if not found:
        return []
    zones = _zones(text, language, found)
    places, line, position = [], 0, 0
    for at in found:
        line += text.count("\n", position, at)
        position = at
        places.append(Place(line, at - text.rfind("\n", 0, at) - 1, zones[at]))
    return places


def _whole_words(text: str, name: str, start: int) -> list[int]:
    """Offsets of the whole word, found with `str.find`: a regular expression that begins with a lookbehind takes forty times as long."""
    found, at = [], text.find(name, start)
    while at != -1:
        end = at + len(name)
        if not (_is_word(text[at - 1 : at]) or _is_word(text[end : end + 1])):
            found.append(at)
        at = text.find(name, end)
    return found


def _is_word(sign: str) -> bool:
    return sign.isalnum() or (sign != "" and sign in "_$")


def _zones(text: str, language: str, places: list[int]) -> dict[int, Zone]:
    zones: dict[int, Zone] = dict.fromkeys(places, "code")
    spans = _spans(text, language)
    starts = [match.start(match.lastgroup or 0) for match in spans]
    for place in places:
        number = bisect_right(starts, place) - 1
        if number >= 0 and place < spans[number].end():
            zones[place] = _inside(text, spans[number], place, language)
    return zones


@lru_cache(maxsize=4)
def _spans(text: str, language: str) -> tuple[re.Match[str], ...]:
    """The comments and strings of a text. Cached, because several rules use the same text."""
    return tuple(match for match in _scanner(language).finditer(text) if match.lastgroup)


def _inside(text: str, match: re.Match[str], place: int, language: str) -> Zone:
    if match.lastgroup == "comment":
        return "comment"
    start, string = match.start("string"), match["string"]
    prefix = re.search(r"\w*\Z", text[max(0, start - 3) : start])
    dollar, always = _holes(language, string[0])
    always = always or (language in _MACROS and "!(" in text[text.rfind("\n", 0, start) + 1 : start])
    if not (always or dollar or (prefix and re.search("[fF$]", prefix[0]))):
        return "string"
    for hole in _HOLE.finditer(string):
        group = 3 if hole[3] is not None else 2
        if dollar and group == 2 and not hole[1]:
            continue
        if start + hole.start(group) <= place < start + hole.end(group):
            return "code"
    return "string"


@lru_cache(maxsize=64)
def _holes(language: str, quote: str) -> tuple[bool, bool]:
    """Whether a string with this quote interpolates `${...}`, and whether it interpolates with any prefix."""
    found = [string.holes for string in _known(language).strings if quote in string.opener and string.holes]
    dollar = any(r"\$" in holes for holes in found)
    return dollar, bool(found) and not dollar and ALIASES.get(language, language) != "python"


@lru_cache(maxsize=64)
def mask(language: str) -> re.Pattern[str]:
    """Pattern for the comments (group `comment`) and strings (group `string`) of a language."""
    return re.compile(_alternatives(_known(language)) or r"(?!)")


@lru_cache(maxsize=64)
def _scanner(language: str) -> re.Pattern[str]:
    """The pattern of `mask`, preceded by other text; or a sign that begins neither a comment nor a string.

    The preceding text consists of characters that can begin neither, so the alternatives are tried at few places.
    """
    known = _known(language)
    alternatives = _alternatives(known)
    if not alternatives:
        return mask(language)
    begin = {opener[0] for opener, _ in known.blocks} | (set(known.line) & _LINE_SIGNS) | (set() if known.prose else set("\"'`"))
    return re.compile(rf"[^{re.escape(''.join(sorted(begin)))}]*(?:{alternatives}|[\s\S])")


def _alternatives(known: Language) -> str:
    comments = [re.escape(opener) + _up_to(closer) for opener, closer in known.blocks]
    if known.line:
        comments.append(rf"(?:{known.line})[^\n]*")
    strings = [] if known.prose else _strings(known)
    both = [f"(?P<comment>{'|'.join(comments)})"] if comments else []
    return "|".join([*both, f"(?P<string>{'|'.join(strings)})"] if strings else both)


def _strings(known: Language) -> list[str]:
    openers = [string.opener for string in known.strings]
    found = [quote + _up_to(quote) for quote in ('"""', "'''") if any(quote in opener for opener in openers)]
    for quote in "\"'`":
        if any(quote in opener for opener in openers):
            several = any(string.lines for string in known.strings if quote in string.opener and quote * 3 not in string.opener)
            plain = rf"[^\\{quote}{'' if several else chr(92) + 'n'}]*"
            found.append(rf"{quote}{plain}(?:\\[\s\S]{plain})*{quote}")
    if known.characters:
        found.append(r"'(?:[^\\'\n]|\\[^\n]{1,8}?)'")
    return found


def _up_to(closer: str) -> str:
    """Regular expression up to a closer or the end of the text. Runs without the closer's first character match in one step."""
    sign, rest = re.escape(closer[0]), re.escape(closer[1:])
    return rf"[^{sign}]*(?:{sign}(?!{rest})[^{sign}]*)*(?:{re.escape(closer)}|\Z)"


def _known(language: str) -> Language:
    return language_of(language)
