"""Where a cursor stands: the text near it that decides what is kept, shown and reused. Pure.

Everything that compares two moments of a document does it with these windows, never with whole documents: so an edit far away changes nothing
here, and a document of 5,000 lines costs no more than one of 50.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from infill.columns import columns
from infill.completion.style import Region, Style, quote_of, region_of, style_of
from infill.completion.types import CompletionRequest, Indentation

TAIL = 1024
"""Characters above the cursor's line that the steps of post-processing look at: some 25 lines."""
BELOW = 2048
"""Characters right of the cursor that the steps of post-processing look at."""
CONTEXT = 4096
"""Characters above the cursor's line that the lexer reads."""
REACH = 4096
"""Characters that may have been typed since an answer was asked for."""
REACH_LINES = 64

OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = {closer: opener for opener, closer in OPENERS.items()}
QUOTES = "\"'`"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A cursor and what surrounds it."""

    above: str
    """Up to TAIL characters before the cursor's line."""
    line_before: str
    line_after: str
    below: str
    """Up to BELOW characters right of the cursor, the rest of its line included."""
    language: str = ""
    context: str = ""
    """Up to CONTEXT characters before the cursor's line: what the lexer needs to know what is open."""
    region: Region = Region("")
    """The part of the document that the cursor is in; its start is an offset in `above`."""
    indentation: Indentation = Indentation()
    """As declared for the document."""

    @property
    def style(self) -> Style:
        """How lines are indented here."""
        text = self.line_before.lstrip(" \t")
        white = self.line_before[: len(self.line_before) - len(text)] + text[:1]
        if self.region.start:
            return style_of(self.above[self.region.start :], white, "", self.region.language, Indentation(), string=self.region.string)
        return style_of(self.above, white, self.below, self.language, self.indentation)

    @property
    def indent(self) -> int:
        """Columns by which the cursor's line is indented (as far as it is written)."""
        return self.columns(self.line_before)

    def columns(self, text: str) -> int:
        """Width of the white space that `text` begins with, as this document counts."""
        return columns(text, self.style.width)

    @property
    def line_is_blank(self) -> bool:
        return not self.line_before.strip()


def place_of(request: CompletionRequest) -> Place:
    start = request.prefix.rfind("\n") + 1
    below = request.suffix[:BELOW]
    first = max(0, start - TAIL)
    region = region_of(request.prefix, request.language)
    if region.start:
        region = Region(region.language, max(1, min(region.start, start) - first), region.string)
    return Place(
        above=request.prefix[first:start],
        line_before=request.prefix[start:],
        line_after=below.partition("\n")[0],
        below=below,
        language=request.language,
        context=_context(request.prefix, start, request.language),
        region=region,
        indentation=request.indentation,
    )


def _context(prefix: str, end: int, language: str) -> str:
    """Whole lines up to `end`; where they are not the document's first ones, they do not begin inside a string."""
    if end <= CONTEXT:
        return prefix[:end]
    start = prefix.find("\n", end - CONTEXT, end) + 1 or end
    quote = quote_of(language)
    inside = prefix.find(quote, start, end) if quote else -1
    if inside >= 0 and prefix.count(quote, 0, start) % 2:
        start = prefix.find("\n", inside, end) + 1 or end
    return prefix[start:end]


def line_starts(prefix: str) -> Iterator[int]:
    """Where the cursor's line and those above it start, nearest first, as far as what was typed since an answer was asked for may reach."""
    nearest = max(0, len(prefix) - REACH)
    start = len(prefix)
    for _ in range(REACH_LINES):
        start = prefix.rfind("\n", nearest, start) + 1
        if start == 0 and nearest > 0:
            return
        yield start
        if start == 0:
            return
        start -= 1


def same_below(before: str, now: str, typed: str, *, to_end: bool) -> bool:
    """Whether the text right of the cursor begins with what stood there before `typed` was typed, but for pairs that the editor closed or overtyped.

    `to_end`: the document ended with `before`, so that it has to be the same to its end.
    """
    if _alike(before, now, to_end=to_end):
        return True
    for count in range(1, 5):  # `)` typed over the `)` that was there
        if count <= len(typed) and before.startswith(typed[-count:]) and _only_closers(typed[-count:]) and _alike(before[count:], now, to_end=to_end):
            return True
    rest = now
    for closer in _left_open(typed):  # `)` put there by the editor because `(` was typed
        stripped = rest.lstrip(" \t\n")
        if not stripped.startswith(closer):
            return False
        rest = stripped[1:]
        if _alike(before, rest, to_end=to_end):
            return True
    return False


def _alike(before: str, now: str, *, to_end: bool) -> bool:
    return now == before if to_end else now.startswith(before)


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
