"""Brackets and quotes that the suffix already closes are not closed twice. Pure.

foo(|)      `a, b)` is shown and takes the place of the `)` that the editor put there
foo(|       a suggestion loses its last line `)` where the next line closes the bracket already
"""

from __future__ import annotations

import re

from infill.completion.place import CLOSERS, CLOSING, OPENERS, QUOTES, Place

_STRING = r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"""
_CHARACTER = r""""(?:\\.|[^"\\\n])*"|'(?:\\[^\n]+?|[^'\\\n])'"""
_STRINGS, _CHARACTERS = re.compile(_STRING), re.compile(_CHARACTER)
_TOKENS, _RUST_TOKENS = re.compile(_STRING + r"|[()\[\]{}]"), re.compile(_CHARACTER + r"|[()\[\]{}]")
_APOSTROPHES = frozenset({"rust", "ocaml", "haskell", "c", "cpp", "java", "zig", "lisp", "clojure", "scheme"})
"""Where single quotes hold one character, and stand alone too: `'a`."""


def unmatched(text: str, language: str, start: int = 0) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """Closers whose opener is not in `text`, and openers whose closer is not: position and character. Strings are passed over."""
    closers: list[tuple[int, str]] = []
    openers: list[tuple[int, str]] = []
    for match in (_RUST_TOKENS if language in _APOSTROPHES else _TOKENS).finditer(text, start):
        character = match[0]
        if character in OPENERS:
            openers.append((match.start(), character))
        elif character in CLOSERS:
            mate = next((index for index in reversed(range(len(openers))) if openers[index][1] == CLOSERS[character]), None)
            if mate is None:
                closers.append((match.start(), character))
            else:
                del openers[mate]  # one that was left open within stays open
    return closers, openers


def closed_once(text: str, place: Place) -> str:
    """Ends before the bracket that closes what a line below closes already."""
    following = next((line for line in place.below.split("\n")[1:] if line.strip()), "")
    closer = following.lstrip()[:1]
    if closer not in CLOSERS or _visible(place.line_after):
        return text
    allowed = sum(opener == CLOSERS[closer] for _, opener in unmatched(place.line_before, place.language)[1])
    if allowed and place.columns(following) >= place.indent:
        allowed -= 1  # the line below closes what this line opened
    closers = [position for position, kind in unmatched(text, place.language, end_of_string(text, place))[0] if kind == closer]
    return text[: closers[allowed]].rstrip() if len(closers) > allowed else text


def replaced(text: str, place: Place) -> int:
    """Characters right of the cursor that `text` repeats: closers and quotes that an editor put there, with the punctuation after them."""
    after = place.line_after.rstrip()
    if not after or not CLOSING.issuperset(after):
        return 0
    taken = 0
    inside = end_of_string(text, place)
    if inside and text[inside - 1] == after[0]:
        taken = _also(text, inside, after, 1)
    lacking = _lacking(place, after)
    for position, closer in unmatched(text, place.language, inside)[0]:
        if lacking.get(closer, 0) > 0:
            lacking[closer] -= 1
        elif taken < len(after) and after[taken] == closer:
            taken = _also(text, position + 1, after, taken + 1)
    left = after[taken:]
    return len(after) if left and left[0] in ";:,>" and text.endswith(left) else taken


def _lacking(place: Place, after: str) -> dict[str, int]:
    """By kind: brackets opened on this line that nothing right of the cursor closes, so the text has to."""
    counts = {closer: -after.count(closer) for closer in CLOSERS}
    for _, opener in unmatched(place.line_before, place.language)[1]:
        counts[OPENERS[opener]] += 1
    return counts


def _also(text: str, position: int, after: str, taken: int) -> int:
    """Punctuation that follows in both."""
    while taken < len(after) and position < len(text) and text[position] == after[taken] and after[taken] in ";:,":
        position += 1
        taken += 1
    return taken


def end_of_string(text: str, place: Place) -> int:
    """Where `text` leaves the string that the cursor is in (just after its quote); 0 where it is in none, or stays in it."""
    if "'" not in place.line_before and '"' not in place.line_before and "`" not in place.line_before:
        return 0
    left = (_CHARACTERS if place.language in _APOSTROPHES else _STRINGS).sub("", place.line_before)
    quote = next((character for character in left if character in QUOTES), "")
    if not quote or (quote == "'" and place.language in _APOSTROPHES and not place.line_after.startswith("'")):  # a lifetime
        return 0
    match = re.search(rf"(?<!\\){quote}", text if quote == "`" else text.partition("\n")[0])
    return match.end() if match else 0


def _visible(text: str) -> bool:
    return bool(text.strip())
