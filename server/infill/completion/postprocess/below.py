"""Whether the lines below a cursor close what a text leaves open. Pure."""

from __future__ import annotations

from infill.completion.cursor import Cursor
from infill.completion.lexer import BRACKET, WEAK, Pair, scan
from infill.completion.place import Place


def closed_below(text: str, cursor: Cursor, place: Place) -> bool:
    """Whether the lines below close all that the text leaves open, without the rest of the cursor's line.

    Either the body also follows below, indented deeper, with its closer in the opener's column. Or the closers below close nothing without the text.
    """
    below = place.below[len(place.line_after) :]
    before = cursor.before + text
    state = scan(before, cursor.state).state
    opened = [frame for frame in state.stack if frame.start >= len(cursor.before) and frame.kind != WEAK]
    closed = {pair.opener: pair.start for pair in scan(before + below, state).pairs}
    if not all(frame.start in closed for frame in opened):
        return False
    columns = {frame.start: _column(before + below, closed[frame.start], place) for frame in opened}
    if place.columns(below.lstrip("\n")) > max((_column(before, start, place) for start in columns), default=-1):
        return all(columns[start] == _column(before, start, place) for start in columns)
    taken = {pair.start + len(text) for pair in scan(cursor.before + below, cursor.state).pairs if _in_line(pair, cursor.before + below, place)}
    code = cursor.before.strip() and all(frame.kind == BRACKET for frame in opened)
    return bool(code) and all(closed[start] not in taken and column >= place.indent for start, column in columns.items())


def _in_line(pair: Pair, text: str, place: Place) -> bool:
    """Whether a closer's line has the same indentation as its opener's line."""
    return _column(text, pair.opener, place) == _column(text, pair.start, place)


def _column(text: str, offset: int, place: Place) -> int:
    """Columns of indentation of the line at `offset`."""
    return place.columns(text[text.rfind("\n", 0, offset) + 1 :])
