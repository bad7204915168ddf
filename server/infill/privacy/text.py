"""Removes control characters from answers that would affect a terminal or make code look different from what it does. Pure.

Terminal sequences are removed as a whole, also when they are split over pieces, and so are bidirectional overrides and invisible tags. Tabs and
newlines stay. A carriage return with its newline becomes a newline.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC and similar: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"  # all shorter ones
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c]{0,4096}\x1b?|[ -/]*)?$|[\ud800-\udbff]$|\r$")
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks, overrides and isolates
    "\ufff9-\ufffb\U000e0000-\U000e007f]"  # annotations, tags
)
_SUSPICIOUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without forbidden characters."""
    if _SUSPICIOUS.search(text) is None:
        return text
    whole = _ESCAPE.sub("", text.replace("\r\n", "\n"))
    return _FORBIDDEN.sub("", whole).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Cleaner:
    """`clean` for streamed text."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """The part of the text so far that can be passed on."""
        text = self._held + piece
        unfinished = _UNFINISHED.search(text) if _SUSPICIOUS.search(text) else None
        cut = unfinished.start() if unfinished else len(text)
        text, self._held = text[:cut], text[cut:]
        return clean(text)

    def end(self) -> str:
        """The text that was held back and is harmless."""
        text, self._held = self._held, ""
        return clean(text)
