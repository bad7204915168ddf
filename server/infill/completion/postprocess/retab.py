"""Indents the lines of an answer with the kind of white space that the document uses. Pure.

A model that writes spaces in a file of tabs assumes some tab width. It is computed from the first such line, whose level is that of the line before,
or one deeper if that line opens a block. Columns beyond whole tabs are alignment and not changed.
"""

from __future__ import annotations

import re

from infill.completion.lexer import ends_in_comment
from infill.completion.place import Place
from infill.completion.style import LEAST_STEP, MAKE, USUAL_STEP, USUAL_TAB

_WHITE = re.compile(r"[ \t]*")
_DEEPER = re.compile(r"(?:[:{(\[]|=>|->|\b(?:then|do|else|begin|try))\s*$")
"""Ends a line whose next line is one level deeper."""
_GOES_ON = re.compile(r"[,\\&|+*/.=-]\s*$|\b(?:and|or)\s*$")
"""Ends a line that the next line continues, with any indentation."""
_RULE = re.compile(r"[^\s#=][^=]*:(?!=)")
"""The head of a rule in a makefile; the lines below it begin with a tab."""
WIDTHS = (USUAL_TAB, USUAL_STEP, LEAST_STEP)
"""Columns that models write for a level."""


def white_of(line: str) -> str:
    """The leading white space of a line."""
    match = _WHITE.match(line)
    return match[0] if match else ""


def with_spaces(lines: list[str], first: int, place: Place) -> list[str]:
    """Replace each leading tab by one level of spaces."""
    step = place.style.step
    return [*lines[:first], *(white_of(line).expandtabs(step) + line[len(white_of(line)) :] for line in lines[first:])]


def with_tabs(lines: list[str], first: int, place: Place) -> list[str]:
    """Replace levels of spaces by tabs. Lines that begin with a tab are kept, unless they go deeper by spaces after a line that opens a block."""
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
    """The last line that is not blank before the first one to indent."""
    if first:
        return place.line_before + lines[0]
    return next((line for line in reversed(place.above.split("\n")) if line.strip()), "")


def _width(columns: int, before: str, place: Place) -> int:
    """Columns per tab in the answer, from its first line of spaces and the line before, which is indented by tabs."""
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
    """The column after the last opening bracket in a line."""
    shown = before.expandtabs(tab)
    return max(shown.rfind(opener) for opener in "([{") + 1


def _recipes(lines: list[str], first: int, place: Place) -> list[str]:
    """In a makefile, begin the lines of a rule with a tab. Other lines are not changed: a continuation may have any indentation."""
    done = lines[:first]
    before = _line_before(lines, first, place)
    for line in lines[first:]:
        white = white_of(line)
        in_rule = (before.startswith("\t") or _RULE.match(before)) and not before.rstrip().endswith("\\")
        done.append("\t" + line[len(white) :] if white and "\t" not in white and line.strip() and in_rule else line)
        before = done[-1] if line.strip() else before
    return done
