"""The text near a cursor, which decides what is kept, shown and reused. Pure.

Two states of a document are compared by these windows, never by whole documents. So an edit far away has no effect, and a document of 5,000 lines
costs no more than one of 50.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from infill.columns import columns
from infill.completion.style import Region, Style, quote_of, region_of, style_of
from infill.completion.types import CompletionRequest, Indentation

TAIL = 1024
"""Number of characters above the cursor's line that post-processing uses: about 25 lines."""
BELOW = 2048
"""Number of characters right of the cursor that post-processing uses."""
CONTEXT = 4096
"""Number of characters above the cursor's line that the lexer reads."""
REACH = 4096
"""Maximum number of characters typed since an answer was requested."""
REACH_LINES = 64

OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = {closer: opener for opener, closer in OPENERS.items()}
QUOTES = "\"'`"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A cursor and the text around it."""

    above: str
    """Up to TAIL characters before the cursor's line."""
    line_before: str
    line_after: str
    below: str
    """Up to BELOW characters right of the cursor, including the rest of its line."""
    language: str = ""
    context: str = ""
    """Up to CONTEXT characters before the cursor's line, for the lexer."""
    region: Region = Region("")
    """The part of the document that the cursor is in; its start is an offset in `above`."""
    indentation: Indentation = Indentation()
    """As declared for the document."""

    @property
    def style(self) -> Style:
        """The indentation style at the cursor."""
        text = self.line_before.lstrip(" \t")
        white = self.line_before[: len(self.line_before) - len(text)] + text[:1]
        if self.region.start:
            return style_of(self.above[self.region.start :], white, "", self.region.language, Indentation(), string=self.region.string)
        return style_of(self.above, white, self.below, self.language, self.indentation)

    @property
    def indent(self) -> int:
        """Columns of indentation of the cursor's line, as far as it is written."""
        return self.columns(self.line_before)

    def columns(self, text: str) -> int:
        """Width of the leading white space of `text` in this document, in columns."""
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
    """Whole lines up to `end`. If they are not the first lines of the document, they do not begin inside a string."""
    if end <= CONTEXT:
        return prefix[:end]
    start = prefix.find("\n", end - CONTEXT, end) + 1 or end
    quote = quote_of(language)
    inside = prefix.find(quote, start, end) if quote else -1
    if inside >= 0 and prefix.count(quote, 0, start) % 2:
        start = prefix.find("\n", inside, end) + 1 or end
    return prefix[start:end]


def line_starts(prefix: str) -> Iterator[int]:
    """Offsets of the cursor's line and the lines above it, nearest first, within the limits REACH and REACH_LINES."""
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
    """Whether the text right of the cursor still begins with `before`, its text before `typed` was typed. Pairs closed by the editor are ignored.

    `to_end`: the document ended with `before`, so the text has to be equal to its end.
    """
    if _alike(before, now, to_end=to_end):
        return True
    for count in range(1, 5):  # `)` typed over the `)` that was there
        if count <= len(typed) and before.startswith(typed[-count:]) and _only_closers(typed[-count:]) and _alike(before[count:], now, to_end=to_end):
            return True
    rest = now
    for closer in _left_open(typed):  # the editor added `)` because `(` was typed
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
    """Closers that an editor would have added for `typed`, innermost first."""
    wanted: list[str] = []
    for character in typed:
        if wanted and character == wanted[-1]:
            wanted.pop()
        elif character in OPENERS:
            wanted.append(OPENERS[character])
        elif character in QUOTES:
            wanted.append(character)
    return wanted[::-1]
