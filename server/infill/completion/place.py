"""Where a cursor stands: the text near it that decides what is kept, shown and reused. Pure.

Everything that compares two moments of a document does it with these windows, never with whole documents: so an edit far away changes nothing
here, and a document of 5,000 lines costs no more than one of 50.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from infill.completion.types import CompletionRequest

TAIL = 1024
"""Characters above the cursor's line that have to be the same for an earlier answer to serve again: some 25 lines."""
HEAD = 256
"""Characters below the cursor that have to be the same."""
BELOW = 2048
"""Characters right of the cursor that the steps of post-processing look at."""
REACH = 4096
"""Characters that may have been typed since an answer was asked for."""
REACH_LINES = 64
TAB = 8
"""Columns of a tab where indentations are compared, as in `ask.Stop.indent`; how wide the editor draws one does not matter."""

OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = {closer: opener for opener, closer in OPENERS.items()}
QUOTES = "\"'`"
CLOSING = frozenset({*CLOSERS, *QUOTES, *";:, >"})
"""What may be right of the cursor because it closes something: it is replaced where a suggestion repeats it."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A cursor and what surrounds it."""

    above: str
    """Up to TAIL characters before the cursor's line."""
    line_before: str
    line_after: str
    below: str
    """Up to BELOW characters right of the cursor, the rest of its line included."""
    language: str = ""
    tab_size: int = 4
    insert_spaces: bool = True

    @property
    def indent(self) -> int:
        """Columns by which the cursor's line is indented (as far as it is written)."""
        return columns(self.line_before)

    @property
    def line_is_blank(self) -> bool:
        return not self.line_before.strip()


def place_of(request: CompletionRequest) -> Place:
    start = request.prefix.rfind("\n") + 1
    below = request.suffix[:BELOW]
    return Place(
        above=request.prefix[max(0, start - TAIL) : start],
        line_before=request.prefix[start:],
        line_after=below.partition("\n")[0],
        below=below,
        language=request.language,
        tab_size=max(1, request.tab_size),
        insert_spaces=request.insert_spaces,
    )


def earlier(prefix: str) -> Iterator[tuple[str, str]]:
    """The cursor's line and those above it, nearest first: what stood above each, and all text from its start to the cursor."""
    nearest = max(0, len(prefix) - REACH)
    start = len(prefix)
    for _ in range(REACH_LINES):
        start = prefix.rfind("\n", nearest, start) + 1
        if start == 0 and nearest > 0:
            return
        yield prefix[max(0, start - TAIL) : start], prefix[start:]
        if start == 0:
            return
        start -= 1


def columns(text: str) -> int:
    """Width of the white space that `text` begins with."""
    width = 0
    for character in text:
        if character == " ":
            width += 1
        elif character == "\t":
            width += TAB - width % TAB
        else:
            break
    return width


def same_below(before: str, now: str, typed: str) -> bool:
    """Whether what stands right of the cursor is what stood there before `typed` was typed, but for pairs that the editor closed or overtyped."""
    if _alike(before, now):
        return True
    for count in range(1, 5):  # `)` typed over the `)` that was there
        if count <= len(typed) and before.startswith(typed[-count:]) and _only_closers(typed[-count:]) and _alike(before[count:], now):
            return True
    rest = now
    for closer in _left_open(typed):  # `)` put there by the editor because `(` was typed
        stripped = rest.lstrip(" \t\n")
        if not stripped.startswith(closer):
            return False
        rest = stripped[1:]
        if _alike(before, rest):
            return True
    return False


def _alike(first: str, second: str) -> bool:
    length = min(HEAD, max(len(first), len(second)))
    if len(first) < length or len(second) < length:
        # one window is shorter: only the end of a document may be, or a window that lost the few characters compared away
        length = min(len(first), len(second))
        if length < HEAD - 16 and len(first) != len(second):
            return False
    return first[:length] == second[:length]


def _only_closers(text: str) -> bool:
    return all(character in CLOSERS or character in QUOTES for character in text)


def _left_open(typed: str) -> list[str]:
    """Closers that an editor would have added for what was typed, innermost first."""
    wanted: list[str] = []
    for character in typed:
        if wanted and character == wanted[-1]:
            wanted.pop()
        elif character in OPENERS:
            wanted.append(OPENERS[character])
        elif character in QUOTES:
            wanted.append(character)
    return wanted[::-1]
