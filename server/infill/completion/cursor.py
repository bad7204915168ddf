"""What is open at a cursor: the lexer's view of a place, worked out once for each. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from infill.completion.lexer import BRACKET, ELEMENT, HOLE, STRING, Frame, Pair, State, modes, scan, state_after
from infill.completion.lexer.languages import String, language_of
from infill.completion.place import Place


class Cursor(NamedTuple):
    """A place as the lexer sees it."""

    before: str
    """Text left of the cursor: the lines above as far as they are known, and the line."""
    line_start: int
    """Where the cursor's line begins in it."""
    state: State
    """What is open."""
    settled: State
    """The same without a string that is not finished, where the rest of the line is meant to stand behind it."""
    closers: tuple[Pair, ...]
    """What the rest of the cursor's line closes of it, counted from the cursor."""

    @property
    def innermost(self) -> Pair | None:
        """The closer that stands right of the cursor first, if it ends what the cursor is in."""
        return self.closers[0] if self.closers and self.closers[0].opener == self.state.stack[-1].start else None


def cursor_at(place: Place) -> Cursor:
    """The lexer's view of a place."""
    return _cursor(place.context or place.above, place.line_before, place.line_after, place.language)


@lru_cache(maxsize=32)
def _cursor(above: str, line: str, after: str, language: str) -> Cursor:
    found = _read(above, line, after, language)
    first = len(after) - len(after.lstrip())
    if first < len(after) and not (found.closers and found.closers[0].start == first):
        alone = _read("", line, after, language)  # the text above may begin inside a string
        if alone.closers and alone.closers[0].start == first:
            return alone
    return found


def _read(above: str, line: str, after: str, language: str) -> Cursor:
    before = above + line
    state = state_behind(before, after, state_after(above, language), language)
    settled = _settled(before, state, after)
    length = len(before)
    pairs = scan(before + after, settled).pairs if after.strip() else []
    closers = tuple(Pair(pair.opener, pair.start - length, pair.end - length) for pair in pairs if pair.opener < length)
    return Cursor(before, len(above), state, settled, closers)


def state_behind(before: str, after: str, above: State, language: str) -> State:
    """What is open behind `before`. A single quote that may hold one character is a pair only with the one behind the cursor."""
    if after.startswith("'") and language_of(language).characters:
        pairs = scan(f"{before}'", above).pairs
        opener = next((pair.opener for pair in pairs if pair.start == len(before)), 0)
        if before[opener : opener + 1] == "'":
            inside = Frame("'", modes.string(language, String("'"), "'"), opener, STRING)
            return State((*scan(before[:opener], above).state.stack, inside), len(before))
    return scan(before, above).state


def _settled(before: str, state: State, after: str) -> State:
    if not after.strip() or all(frame.kind != STRING for frame in state.stack):
        return state
    broken = scan(f"{before}{after}\n", state).broken
    unfinished = next((frame.start for frame in broken if frame.kind == STRING and frame.start < len(before)), None)
    return state if unfinished is None else State(tuple(frame for frame in state.stack if frame.start < unfinished), len(before))


def is_in_string(place: Place) -> bool:
    """Whether the cursor is in a string that is closed behind it in the line."""
    cursor = cursor_at(place)
    return cursor.state.stack[-1].kind == STRING and cursor.innermost is not None


def in_empty_pair(place: Place) -> bool:
    """Whether the cursor is in a pair that may hold lines and holds nothing yet: brackets, a comment, an element, a string of lines."""
    cursor = cursor_at(place)
    closer, frame = cursor.innermost, cursor.state.stack[-1]
    if closer is None or place.line_after[: closer.start].strip():
        return False
    inside = cursor.before[frame.start :].rstrip()
    if frame.kind == BRACKET or (frame.kind == HOLE and cursor.state.stack[-2].kind != STRING):
        return len(inside) == 1
    if frame.kind == ELEMENT:
        return inside.endswith(">") and inside.count("<") == 1
    return inside in {"/*", "/**", "<!--"} or (frame.kind == STRING and inside == frame.closer and (len(inside) == 3 or inside == "`"))
