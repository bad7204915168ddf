"""Whether accepting a suggestion leaves the document as its author wrote it. Pure.

*Restored*: the buffer equals the file.
*Beginning*: the inserted text is the beginning of the author's text, and the text to its right is exactly what is still needed. Nothing is missing
or duplicated, no word or number is cut, and no closer is on an earlier line than the author's.
Everything else is wrong; `lost` and `doubled` are wrong closers after right text.
White space at line ends is ignored.
"""

from __future__ import annotations

import re
from typing import Literal

from infill.bench.places import Place

Verdict = Literal["restored", "beginning", "lost", "doubled", "glued", "cut", "other"]
EXACT = frozenset({"restored", "beginning"})
_TRAILING = re.compile(r"[ \t]+(?=\n|\Z)")
_WORD, _NUMBER = re.compile(r"\w\w"), re.compile(r"\d\.\d")


def verdict(place: Place, text: str, replaces: int) -> Verdict:
    """The verdict on a suggestion: its text, and the number of characters right of the cursor that it replaces."""
    whole = place.syntax.text
    if _trimmed(place.left + text + place.right[replaces:]) == _trimmed(whole):
        return "restored"
    text = _TRAILING.sub("", text) if "\n" in text else text
    end = place.cursor + len(text)
    if not text.strip() or not whole.startswith(text, place.cursor) or end > max(place.until, place.cursor):
        return "other"
    expected = _replaced(place, end)
    if replaces != expected:
        return "lost" if replaces > expected else "doubled"
    if _WORD.match(whole, end - 1) or _NUMBER.match(whole, end - 1) or _NUMBER.match(whole, end - 2):
        return "cut"
    return "glued" if _glued(place, text, end, replaces) else "beginning"


def _trimmed(text: str) -> str:
    return _TRAILING.sub("", text)


def _replaced(place: Place, end: int) -> int:
    """Number of auto-closed characters that are redundant after the author's text up to `end`."""
    whole = place.syntax.text
    pending = "".join(whole[max(pair.close, end) : pair.end] for pair in place.syntax.enclosing(end, place.line_start))
    return next(count for count in range(len(place.closers) + 1) if pending.endswith(place.closers[count:]))


def _glued(place: Place, text: str, end: int, replaces: int) -> bool:
    """Whether a closer follows directly where the author has a line break before it."""
    rest = place.right[replaces:].partition("\n")[0]
    own_line = not text.rpartition("\n")[2].strip()
    return "\n" in text and not own_line and bool(rest.strip()) and re.match(r"[ \t]*\n", place.syntax.text[end:]) is not None
