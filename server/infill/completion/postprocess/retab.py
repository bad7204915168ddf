"""The lines of an answer, indented with the kind of white space that the document uses. Pure.

A model that writes spaces in a file of tabs has its own idea of how wide a tab is. It shows in the first such line, whose level follows from the line
before: one deeper where that opens a block, else the same. What a line has beyond whole tabs is alignment and stays.
"""

from __future__ import annotations

import re

from infill.completion.lexer import ends_in_comment
from infill.completion.place import Place
from infill.completion.style import LEAST_STEP, MAKE, USUAL_STEP, USUAL_TAB

_WHITE = re.compile(r"[ \t]*")
_DEEPER = re.compile(r"(?:[:{(\[]|=>|->|\b(?:then|do|else|begin|try))\s*$")
"""The next line is one level deeper."""
_GOES_ON = re.compile(r"[,\\&|+*/.=-]\s*$|\b(?:and|or)\s*$")
"""The next line continues this one: where it begins is a matter of taste."""
_RULE = re.compile(r"[^\s#=][^=]*:(?!=)")
"""The head of a rule in a makefile, whose lines begin with a tab."""
WIDTHS = (USUAL_TAB, USUAL_STEP, LEAST_STEP)
"""Columns that models write for a level."""


def white_of(line: str) -> str:
    """The white space that a line begins with."""
    match = _WHITE.match(line)
    return match[0] if match else ""


def with_spaces(lines: list[str], first: int, place: Place) -> list[str]:
    """Each tab is a level."""
    step = place.style.step
    return [*lines[:first], *(white_of(line).expandtabs(step) + line[len(white_of(line)) :] for line in lines[first:])]


def with_tabs(lines: list[str], first: int, place: Place) -> list[str]:
    """Levels of spaces become tabs; lines that begin with a tab stay, unless they go deeper by spaces where the line before opens a block."""
    if place.region.language in MAKE:
        return _recipes(lines, first, place)
    done = lines[:first]
    before = _line_before(lines, first, place)
    width = 0
    known: dict[str, str] = {}
    for line in lines[first:]:
        white = white_of(line)
        here = known.get(white)
        if here is None and line.strip():
            if white.startswith("  "):
                width = width or _width(len(white.expandtabs(USUAL_TAB)), before, place)
                columns = len(white.expandtabs(width))
                here = "\t" * (columns // width) + " " * (columns % width)
            else:
                here = white
            if here[-2:] == "  " and _is_deeper_below(before, place):
                here = white_of(before) + "\t"
            known[white] = here
        done.append((white if here is None else here) + line[len(white) :])
        before = done[-1] if line.strip() else before
    return done


def _is_deeper_below(line: str, place: Place) -> bool:
    return _DEEPER.search(line) is not None and not ends_in_comment(line, place.region.language)


def _line_before(lines: list[str], first: int, place: Place) -> str:
    """The last line with something on it before the first one that is indented anew."""
    if first:
        return place.line_before + lines[0]
    return next((line for line in reversed(place.above.split("\n")) if line.strip()), "")


def _width(columns: int, before: str, place: Place) -> int:
    """How many columns of the model's are a tab, judged by its first line of spaces and the line before, which is indented by tabs."""
    if place.line_is_blank and "\t" in place.line_before:
        level = place.line_before.count("\t")
        if width := next((width for width in (place.style.tab, *WIDTHS) if width * level == columns), 0):
            return width
    else:
        level = white_of(before).count("\t") + (1 if _is_deeper_below(before, place) else 0)
    known = place.style.tab
    if _GOES_ON.search(before) or not level:
        return known or next((width for width in WIDTHS if _aligned(before, width) == columns), USUAL_STEP)
    return next((width for width in (known, *WIDTHS) if width * level == columns), known or USUAL_STEP)


def _aligned(before: str, tab: int) -> int:
    """The column just behind the last bracket that is open in a line."""
    shown = before.expandtabs(tab)
    return max(shown.rfind(opener) for opener in "([{") + 1


def _recipes(lines: list[str], first: int, place: Place) -> list[str]:
    """In a makefile the lines of a rule begin with a tab, all others stay as they are: a continuation may be indented by anything."""
    done = lines[:first]
    before = _line_before(lines, first, place)
    for line in lines[first:]:
        white = white_of(line)
        in_rule = (before.startswith("\t") or _RULE.match(before)) and not before.rstrip().endswith("\\")
        done.append("\t" + line[len(white) :] if white and "\t" not in white and line.strip() and in_rule else line)
        before = done[-1] if line.strip() else before
    return done
