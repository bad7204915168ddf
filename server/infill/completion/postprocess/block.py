"""Steps that keep a suggestion in the cursor's block and drop one that is too short. Pure."""

from __future__ import annotations

import re

from infill.completion.cursor import cursor_at, in_empty_pair, is_in_string
from infill.completion.lexer import ends_in_comment, scan
from infill.completion.place import Place

_CONTINUES = re.compile(r"[)\]}]|</|(?:el(?:se|if|sif)|except|finally|catch|case|default|end|then|fi|done|esac|while|until|and|or)\b")
_CHAINS = re.compile(r"[.?:&|+]")
"""Begins a line that continues the line above, if no blank line is between."""
_OPENS_BLOCK = re.compile(
    r"(?:[:{]|\b(?:then|do|else|begin|function\b[^()]*\([^)]*\))|\bdo\s*\|[^|]*\|)\s*$"
    r"|^\s*(?:def|class|module|if|unless|case|while|until|for)\b[^{;:]*$"
)
MIN_CHARACTERS = 2
"""Minimum number of visible characters of an answer."""


def kept(text: str, place: Place) -> str:
    """Cut before a line indented less than the cursor's, before the code after a block that the text opened, and before two blank lines."""
    lines = text.split("\n")
    base = place.indent
    head = place.line_before + lines[0]
    opens = _OPENS_BLOCK.search(head) is not None and not ends_in_comment(head, place.region.language)
    deeper = False
    for number, line in enumerate(lines[1:], 1):
        if not line.strip():
            if not lines[number - 1].strip() and any(map(str.strip, lines[:number])):
                return "\n".join(lines[: number - 1])
            continue
        width = place.columns(line)
        if width < base or (opens and deeper and width == base and not _goes_on(lines, number)):
            return "\n".join(lines[:number])
        deeper = deeper or width > base
    return text


def _goes_on(lines: list[str], number: int) -> bool:
    """Whether a line continues a line above with the same indentation."""
    bare = lines[number].lstrip()
    return _CONTINUES.match(bare) is not None or (_CHAINS.match(bare) is not None and bool(lines[number - 1].strip()))


def arguments_kept(text: str, place: Place) -> str:
    """In empty round brackets, keep one line. Keep more if the line opens a bracket or block, or ends with a comma."""
    first, broken, rest = text.partition("\n")
    if not broken or not first.strip() or not rest.strip() or not place.line_after.strip() or not in_empty_pair(place):
        return text
    cursor = cursor_at(place)
    if cursor.state.stack[-1].closer != ")":
        return text
    state = scan(cursor.before + first, cursor.state).state
    opened = len(state.stack) > len(cursor.state.stack) or state.heredoc is not None
    return text if opened or first.rstrip().endswith((",", "(")) or _OPENS_BLOCK.search(first) else first


def white_space_trimmed(text: str, place: Place) -> str:
    """Remove white space at the end, except a space in a string that is closed after it, and a line break before a closer."""
    trimmed = text.rstrip()
    if not trimmed or not place.line_after.strip():
        return trimmed
    ending = text[len(trimmed) :]
    if "\n" in ending:
        return trimmed + "\n" if "\n" in trimmed else trimmed
    return text if is_in_string(place) else trimmed


def too_short_dropped(text: str, place: Place) -> str:
    """Drop a text of one character: typing it is faster than reading it."""
    return text if sum(not character.isspace() for character in text) >= MIN_CHARACTERS else ""


def blank_dropped(text: str, place: Place) -> str:
    return text if text.strip() else ""
