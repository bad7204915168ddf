"""Indentation as the document has it: not doubled on a line that is indented already, tabs where it has tabs, spaces where it has spaces. Pure."""

from __future__ import annotations

import re

from infill.completion.place import Place, columns

_BLANK_LINES = re.compile(r"(?:[ \t]*\n)+")
_LEADING = re.compile(r"^[ \t]+", re.MULTILINE)
_TABS_ALWAYS = frozenset({"makefile", "make", "go"})


def blank_lines_dropped(text: str, place: Place) -> str:
    """On a blank line the suggestion starts on this very line, not further down."""
    if place.line_is_blank and (match := _BLANK_LINES.match(text)):
        return text[match.end() :]
    return text


def tabs_or_spaces(text: str, place: Place) -> str:
    """Lines begin with the kind of white space that the document's lines begin with."""
    start = 0 if place.line_is_blank else text.find("\n") + 1
    if start == 0 and not place.line_is_blank:
        return text
    head, body = text[:start], text[start:]
    if uses_tabs(place):
        return head + _LEADING.sub(lambda match: _with_tabs(match[0], place.tab_size), body) if "  " in body else text
    return head + _LEADING.sub(lambda match: match[0].expandtabs(place.tab_size), body) if "\t" in body else text


def _with_tabs(white: str, size: int) -> str:
    width = len(white.expandtabs(size))
    return "\t" * (width // size) + " " * (width % size)


def uses_tabs(place: Place) -> bool:
    """As the lines around the cursor do it; else as the editor is set."""
    if place.language in _TABS_ALWAYS:
        return True
    around = f"\n{place.above}{place.line_before}"
    tabs, spaces = around.count("\n\t"), around.count("\n  ")
    if tabs == spaces == 0:
        tabs, spaces = place.below.count("\n\t"), place.below.count("\n  ")
    return tabs > spaces if tabs or spaces else not place.insert_spaces


def not_doubled(text: str, place: Place) -> str:
    """On an indented blank line the model was asked from the line's start (see prompt.py): what stands there goes; less is another block."""
    typed = place.line_before
    if not typed or not place.line_is_blank:
        return text
    if text.startswith(typed):
        return text[len(typed) :]
    if columns(text) >= columns(typed):  # the same columns in another mixture of tabs and spaces
        white = text[: len(text) - len(text.lstrip(" \t"))]
        return _beyond(white, columns(typed)) + text[len(white) :]
    return ""


def _beyond(white: str, width: int) -> str:
    for count in range(len(white) + 1):
        if columns(white[:count]) >= width:
            return white[count:]
    return ""
