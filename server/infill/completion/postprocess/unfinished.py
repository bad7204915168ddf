"""How much of a growing answer can be shown. Pure."""

from __future__ import annotations

import re

from infill.completion.cursor import cursor_at
from infill.completion.lexer import STRING, scan
from infill.completion.lexer.languages import language_of
from infill.completion.place import Place
from infill.completion.postprocess import closers

MOST_ENDS = 24
"""Maximum number of cut positions that are tried, from the line's end."""
_ENDS = re.compile(r",|\s+(?=\S|\Z)")


def whole_words(raw: str, place: Place) -> str:
    """The beginning of a line up to a comma or space outside of strings that it begins. A cut elsewhere may look whole and be wrong."""
    cursor = cursor_at(place)
    wanted = [frame.start for frame in cursor.state.stack]
    for end in [match.start() for match in _ENDS.finditer(raw)][: -MOST_ENDS - 1 : -1]:
        head = raw[:end]
        stack = scan(cursor.before + head, cursor.state).state.stack
        if any(frame.kind == STRING and frame.start >= len(cursor.before) for frame in stack):
            continue
        if not cursor.closers or [frame.start for frame in stack] == wanted:
            return head
    return ""


def stands_alone(text: str, place: Place) -> bool:
    """Whether the lines so far are code, and leave nothing open that the rest of the cursor's line would close wrongly."""
    if not place.line_after.strip():
        return True
    return not _introduces(text, place) and bool(closers.fitted(text, place).text)


def _introduces(text: str, place: Place) -> bool:
    """Whether the text is only a block comment in braces that end right of it; the next text decides whether they get their own lines."""
    frame, bare = cursor_at(place).state.stack[-1], text.strip()
    blocks = language_of(frame.mode.language).blocks if frame.closer == "}" else ()
    return any(bare.startswith(opener) and bare.find(closer) == len(bare) - len(closer) for opener, closer in blocks)
