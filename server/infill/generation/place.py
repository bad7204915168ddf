r"""Where generated code goes, and the instruction: explicit, from a selection, a comment, a docstring, or a signature above an empty body.

Offsets count code points of the document's text, whose newlines are `\\n`. Pure.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from infill.errors import RequestError
from infill.generation.languages import Syntax, syntax_of

Kind = Literal["selection", "instruction", "comment", "docstring", "signature"]
LONGEST_INSTRUCTION = 20_000
"""Maximum number of characters; a longer text would leave no room for the code around the place."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The range of text that the code replaces, and the instruction."""

    kind: Kind
    instruction: str
    start: int
    end: int
    indent: str
    """Indentation of the first line of the code, and the minimum of all its lines."""
    own_line: bool
    """The code begins on its own line, below the line that `start` ends."""


def find(text: str, start: int, end: int, language: str, instruction: str, unit: str) -> Place:
    """The place for a cursor (`start == end`) or a selection. `unit` is one level of indentation.

    Raises RequestError if there is no instruction, or it is too long.
    """
    instruction = instruction.strip()
    if len(instruction) > LONGEST_INSTRUCTION:
        raise RequestError(f"The instruction has {len(instruction):,} characters; {LONGEST_INSTRUCTION:,} are the most.", "Say it shorter.")
    if start < end:
        return _selection(text, start, end, instruction)
    syntax = syntax_of(language)
    if instruction:
        return _at_cursor(text, start, instruction, unit if syntax.body == "indent" else "")
    for look in (_docstring, _comment, _signature):
        if (place := look(text, start, syntax, unit)) is not None:
            return place
    raise RequestError(
        "Nothing here says what to write: no instruction, no comment, no docstring, no signature above an empty body.",
        "Write a comment that says what you want, or give an instruction.",
    )


def indent_of(line: str) -> str:
    """The leading white space of a line."""
    return line[: len(line) - len(line.lstrip())]


def line_bounds(text: str, offset: int) -> tuple[int, int]:
    """Start and end (before the newline) of the line that contains `offset`."""
    end = text.find("\n", offset)
    return text.rfind("\n", 0, offset) + 1, len(text) if end < 0 else end


def _selection(text: str, start: int, end: int, instruction: str) -> Place:
    if not instruction:
        raise RequestError("Nothing says how the selection should be rewritten.", "Give an instruction.")
    # without white space at the ends: a selection of whole lines ends at the start of the next line, which must stay in place
    start, end = end - len(text[start:end].lstrip()), start + len(text[start:end].rstrip())
    if start >= end:
        raise RequestError("Nothing but white space is selected.", "Select code, or put the cursor where code shall go.")
    first, _ = line_bounds(text, start)
    # a selection that begins inside the indentation includes all of it
    if not text[first:start].strip():
        start = first
    return Place(kind="selection", instruction=instruction, start=start, end=end, indent=indent_of(text[first:end]), own_line=False)


def _at_cursor(text: str, cursor: int, instruction: str, deeper: str) -> Place:
    """The place for a cursor: on a blank line, that line; else below the cursor's line, `deeper` if that line opens a block."""
    first, last = line_bounds(text, cursor)
    line = text[first:last]
    if line.strip():
        indent = indent_of(line) + (deeper if line.rstrip().endswith(":") else "")
        return Place(kind="instruction", instruction=instruction, start=last, end=last, indent=indent, own_line=True)
    return Place(kind="instruction", instruction=instruction, start=first, end=last, indent=line, own_line=False)


def _below(text: str, last: int, cursor: int, **found: object) -> Place:
    """The place below a line that ends at `last`: the blank line there if the cursor is on it, else a new line."""
    if cursor > last:
        return Place(start=last + 1, end=line_bounds(text, cursor)[1], own_line=False, **found)  # type: ignore[arg-type]
    return Place(start=last, end=last, own_line=True, **found)  # type: ignore[arg-type]


def _anchor_line(text: str, cursor: int) -> tuple[int, int]:
    """The cursor's line, or the line above if it is blank."""
    first, last = line_bounds(text, cursor)
    if not text[first:last].strip() and first > 0:
        return line_bounds(text, first - 1)
    return first, last


def _comment(text: str, cursor: int, syntax: Syntax, _unit: str) -> Place | None:
    return _line_comment(text, cursor, syntax) or _block_comment(text, cursor, syntax)


def _line_comment(text: str, cursor: int, syntax: Syntax) -> Place | None:
    first, last = _anchor_line(text, cursor)
    mark = syntax.line
    if not mark or not text[first:last].lstrip().startswith(mark):
        return None
    lines = [text[first:last]]
    while first > 0:
        above_first, above_last = line_bounds(text, first - 1)
        if not text[above_first:above_last].lstrip().startswith(mark):
            break
        lines.insert(0, text[above_first:above_last])
        first = above_first
    while last < len(text) and text[slice(*line_bounds(text, last + 1))].lstrip().startswith(mark):
        below_first, last = line_bounds(text, last + 1)
        lines.append(text[below_first:last])
    words = " ".join(line.strip().lstrip(mark[0] + "!").strip() for line in lines).strip()
    return _below(text, last, cursor, kind="comment", instruction=words, indent=indent_of(lines[-1])) if words else None


def _block_comment(text: str, cursor: int, syntax: Syntax) -> Place | None:
    opening, closing = syntax.block
    _, line_end = _anchor_line(text, cursor)
    start = text.rfind(opening, 0, line_end) if opening and opening != closing else -1
    stop = text.find(closing, start + len(opening)) if start >= 0 else -1
    # the comment must extend to the anchor line and be alone on its lines
    if stop < 0 or line_bounds(text, stop)[1] < line_end or text[stop + len(closing) : line_bounds(text, stop)[1]].strip():
        return None
    words = " ".join(line.strip().lstrip("*").strip() for line in text[start + len(opening) : stop].splitlines()).strip()
    first, _ = line_bounds(text, start)
    if not words or text[first:start].strip():
        return None
    return _below(text, line_bounds(text, stop)[1], cursor, kind="comment", instruction=words, indent=text[first:start])


_DOCSTRING = re.compile(
    r'^([ \t]*)(?:async\s+def|def|class)\b[^\n]*(?:\n[^\n]*){0,8}?:[ \t]*(?:#[^\n]*)?\n([ \t]+)[rRuU]?("""|\'\'\')(.*?)\3[ \t]*$',
    re.MULTILINE | re.DOTALL,
)


def _docstring(text: str, cursor: int, syntax: Syntax, _unit: str) -> Place | None:
    if syntax.body != "indent":
        return None
    _, line_end = _anchor_line(text, cursor)
    for match in _DOCSTRING.finditer(text, max(0, cursor - 20_000)):
        if match.start() > line_end:
            return None
        if match.start() <= cursor and line_end <= match.end():
            words = " ".join(match[4].split())
            return _over_empty_body(text, match.end(), cursor, kind="docstring", instruction=words, indent=match[2]) if words else None
    return None


_EMPTY_BODY = re.compile(r"\n[ \t]+(?:pass|\.\.\.)[ \t]*(?=\n|\Z)")


def _over_empty_body(text: str, last: int, cursor: int, **found: object) -> Place:
    """As `_below`, but an empty body (`pass`, `...`) is replaced."""
    if match := _EMPTY_BODY.match(text, last):
        return Place(start=last, end=match.end(), own_line=True, **found)  # type: ignore[arg-type]
    return _below(text, last, cursor, **found)


def _signature(text: str, cursor: int, syntax: Syntax, unit: str) -> Place | None:
    first, last = _anchor_line(text, cursor)
    line = text[first:last]
    if not syntax.signature:
        return None
    if line.rstrip().endswith("{}"):
        return _inside_braces(text, first, last, unit)
    if not re.search(syntax.signature, line) or not _body_is_empty(text[last:], indent_of(line), syntax):
        return None
    found = {"kind": "signature", "instruction": f"Implement: {line.strip()}", "indent": indent_of(line) + unit}
    return (_over_empty_body if syntax.body == "indent" else _below)(text, last, cursor, **found)


def _inside_braces(text: str, first: int, last: int, unit: str) -> Place:
    """For `f() {}`: the place between the braces. `answer.placed` puts the closing brace on its own line."""
    line = text[first:last].rstrip()
    brace = first + len(line) - 1
    return Place(
        kind="signature", instruction=f"Implement: {line[:-2].strip()}", start=brace, end=brace, indent=indent_of(line) + unit, own_line=True
    )


def _body_is_empty(rest: str, indent: str, syntax: Syntax) -> bool:
    following = next((line for line in rest.split("\n") if line.strip()), "")
    if syntax.body == "brace":
        return following.strip().startswith("}")
    if syntax.body == "end":
        return following.strip().startswith("end")
    return following.strip() in {"pass", "..."} or len(indent_of(following)) <= len(indent) or not following
