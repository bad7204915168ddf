"""Indents an answer like the document: same kind of white space, not doubled, without a tokenizer's extra space. Pure.

On a blank line the prompt ends at the line's start (see prompt.py), so the answer's first line has the whole indentation. On other lines it has none.
"""

from __future__ import annotations

import re

from infill.completion.cursor import cursor_at
from infill.completion.lexer import ends_in_comment
from infill.completion.place import CLOSERS, Place
from infill.completion.postprocess import retab
from infill.completion.style import LEAST_STEP

_BLANK_LINES = re.compile(r"(?:[ \t]*\n)+")
_WHITE_LINES = re.compile(r"^[ \t]+$", re.MULTILINE)
_PROSE = frozenset({"markdown", "mdx", "plaintext", "restructuredtext", "latex", "asciidoc"})
_LEAVES = re.compile(r"(?:return|break|continue|yield|raise|throw|await|goto)\b")
"""A line that begins with this is inside a function."""
_CONDITION = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
_OPENS = re.compile(rf"(?:[:{{(\[]|=>|->|\b(?:then|do|else|begin))\s*$|^\s*(?:if|for|while)\s*{_CONDITION}\s*$")


def blank_lines_dropped(text: str, place: Place) -> str:
    """On a blank line, start the suggestion on this line, not below."""
    if place.line_is_blank and (match := _BLANK_LINES.match(text)):
        return text[match.end() :]
    return text


def tabs_or_spaces(text: str, place: Place) -> str:
    """Indent lines with the kind of white space that the document uses."""
    first = 0 if place.line_is_blank else 1
    if "\n" not in text[: -1 or None] and first:
        return text
    lines = text.split("\n")
    body = "\n".join(lines[first:])
    tabs = place.style.tabs
    if tabs and "  " in body:
        return "\n".join(retab.with_tabs(lines, first, place))
    if tabs is False and "\t" in body:
        return "\n".join(retab.with_spaces(lines, first, place))
    return text


def extra_space_dropped(text: str, place: Place) -> str:
    """Remove the space that some tokenizers (SentencePiece) put before the first word, if the document has a space or indentation there."""
    bare = text.lstrip(" ")
    extra = len(text) - len(bare)
    if not extra or not bare or bare[0] == "\t":
        return text
    if bare[0] == "\n":
        return bare if extra == 1 else text
    if place.line_is_blank:
        deep = extra == _star(place) + 1 if bare[0] == "*" else _one_too_many(extra, place)
        return text[1:] if deep else text
    comment = place.region.language == "python" and bare[0] == "#"  # two spaces precede a comment
    return bare if extra == 1 and not comment and _needs_no_space(place) else text


def _star(place: Place) -> int:
    """The column of `*` in a comment that the line above begins or continues; a column beyond all others if it does neither."""
    above = _line_above(place)
    bare = above.lstrip()
    return place.columns(above) + bare.startswith("/*") if bare.startswith(("*", "/*")) else len(above) + place.indent + 1


def _line_above(place: Place) -> str:
    return next((line for line in reversed(place.above.split("\n")) if line.strip()), "")


def _one_too_many(width: int, place: Place) -> bool:
    """Whether a first line with this many columns is one column deeper than the document's levels."""
    style, typed = place.style, place.indent
    if style.tabs is None:
        return width == 1 and not typed and "\n " not in place.above
    if width == 1:
        return typed != 1
    if style.tabs or place.region.language in _PROSE:
        level = place.line_before.count("\t")
        written = {level * columns for columns in retab.WIDTHS}
        return width - 1 in written and width not in written
    above = place.columns(_line_above(place))
    levels = {above, above + style.step, max(0, above - style.step)}
    if typed and width == typed + 1:
        return typed % style.step == 0 or typed == above or (typed % LEAST_STEP == 0 and width not in levels)
    if typed and (typed % style.step == 0 or typed == above):
        return False
    return width - 1 in levels and width not in levels


def _needs_no_space(place: Place) -> bool:
    """Whether another space after the text left of the cursor would be one too many."""
    before = place.line_before
    if before[-1] in " \t":
        return before[-2:-1] not in {" ", "\t", ""}
    if place.region.language in _PROSE or not cursor_at(place).state.stack[-1].mode.code:
        return False
    if before[-1] == ".":
        return before[-2:-1].isalnum() or before[-2:-1] in {"_", ")", "]"}
    return before[-1] in "([" and not _is_padded(before[-1], place.above)


def _is_padded(opener: str, text: str) -> bool:
    """Whether an opener is usually followed by a space."""
    padded = text.count(f"{opener} ")
    return 2 * padded > text.count(opener) - text.count(f"{opener}\n")


def not_doubled(text: str, place: Place) -> str:
    """On an indented blank line, remove the indentation already there. A line indented less is in another block, unless its indentation was lost."""
    typed = place.line_before
    if not typed or not place.line_is_blank:
        return text
    if text.startswith(typed):
        return text[len(typed) :]
    white = retab.white_of(text)
    if place.columns(white) >= place.indent:  # the same columns as another mix of tabs and spaces
        return _beyond(white, place) + text[len(white) :]
    if white or not (_all_lines_have_lost_it(text, place) or _has_lost_its_indentation(text, place)):
        return ""
    return text.replace("\n", f"\n{typed}") if _all_lines_have_lost_it(text, place) else text


def _beyond(white: str, place: Place) -> str:
    for count in range(len(white) + 1):
        if place.columns(white[:count]) >= place.indent:
            return white[count:]
    return ""


def _has_lost_its_indentation(text: str, place: Place) -> bool:
    """Whether a first line without indentation belongs at the cursor, because the server stripped the answer.

    The lines after it decide, because they kept their indentation. If there are none, it belongs there unless the cursor's block can end.
    """
    first, _, rest = text.partition("\n")
    if not first or first[0] in CLOSERS:
        return False
    if _LEAVES.match(first) or _block_goes_on(place):
        return True
    following = [place.columns(line) for line in rest.split("\n") if line.strip()]
    least = place.indent + (1 if _opens(first, place) else 0)
    return bool(following) and following[0] >= least and min(following) >= place.indent


def _all_lines_have_lost_it(text: str, place: Place) -> bool:
    """Whether the lines after one that opens a block are no deeper than the cursor's block, because all are indented relative to the first line."""
    first, _, rest = text.partition("\n")
    following = [place.columns(line) for line in rest.split("\n") if line.strip()]
    return _opens(first, place) and bool(following) and 0 < following[0] <= place.indent and _block_goes_on(place)


def _opens(line: str, place: Place) -> bool:
    """Whether the next line is indented deeper; the end of a comment opens nothing."""
    return _OPENS.search(line) is not None and not ends_in_comment(line, place.region.language)


def _block_goes_on(place: Place) -> bool:
    """Whether the block of the cursor's line was just opened, or has more lines or its closer below."""
    above = _line_above(place)
    if _opens(above, place) and place.columns(above) < place.indent:
        return True
    below = next((line for line in place.below.split("\n")[1:] if line.strip()), "")
    return place.columns(below) >= place.indent or below.lstrip()[:1] in CLOSERS


def blank_lines_emptied(text: str, place: Place) -> str:
    """Remove white space on blank lines, except on the last line, which may be unfinished."""
    body, newline, last = text.rpartition("\n")
    return _WHITE_LINES.sub("", body) + newline + last
