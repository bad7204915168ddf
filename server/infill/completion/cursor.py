"""The lexer's state at a cursor: which strings, brackets and comments are open. Pure, and cached."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from infill.completion.lexer import BRACKET, ELEMENT, HOLE, STRING, Frame, Pair, State, modes, scan, state_after
from infill.completion.lexer.languages import String, language_of
from infill.completion.place import Place


class Cursor(NamedTuple):
    """A place with the lexer's state."""

    before: str
    """Text left of the cursor: the known lines above, and the line up to the cursor."""
    line_start: int
    """Offset in `before` where the cursor's line begins."""
    state: State
    """What is open at the cursor."""
    settled: State
    """The same without an unfinished string, if the rest of the line belongs after that string."""
    closers: tuple[Pair, ...]
    """Closers in the rest of the cursor's line that close what is open; offsets from the cursor."""

    @property
    def innermost(self) -> Pair | None:
        """The first closer right of the cursor, if it closes the innermost open frame."""
        return self.closers[0] if self.closers and self.closers[0].opener == self.state.stack[-1].start else None


def cursor_at(place: Place) -> Cursor:
    """The lexer's state at a place."""
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
    """The state at the end of `before`. In a language with character literals, a single quote pairs only with the quote right after the cursor."""
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
    """Whether the cursor is in a string that is closed later in the line."""
    cursor = cursor_at(place)
    return cursor.state.stack[-1].kind == STRING and cursor.innermost is not None


def in_empty_pair(place: Place) -> bool:
    """Whether the cursor is in an empty pair that may contain lines: brackets, a comment, an element or a multi-line string."""
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
