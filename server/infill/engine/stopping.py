"""Determines where an answer ends, and which part of its text can be shown already. Pure: bytes in, whole characters out."""

from __future__ import annotations

import codecs
import io
from typing import Literal

from infill.ask import Stop
from infill.columns import columns

WHITE = " \t\r\n\f\v"
Why = Literal["end", "line", "indent", "length", "deadline", "stopped"]


class TextStream:
    """One candidate's text while it is generated.

    White space after a line break is held back until more text follows, because only that text shows whether the line belongs to the answer. The
    beginning of a line that may become the line below the cursor is held back too.
    """

    def __init__(self, stop: Stop, below: str = "") -> None:
        self._stop = stop
        self._below = below
        """The line below the cursor, before which the answer ends; empty if the model sees that line and ends by itself."""
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
        self._held = ""
        """The beginning of a line that may not belong to the answer, and the blank lines above it."""
        self._line_open = True
        """False after a line break: the next text starts a line."""
        self._anything = False
        self.why: Why | None = None

    def feed(self, data: bytes) -> str:
        """Add a token's bytes; returns the text that is final, and sets `why` if a rule ends the answer."""
        text = self._decoder.decode(data)
        shown = []
        while text and self.why is None:
            piece, text = self._in_line(text) if self._line_open else self._at_start(text)
            shown.append(piece)
        return "".join(shown)

    def finish(self, why: Why) -> str:
        """End the answer for another reason; returns the held-back text that belongs to it."""
        held, self._held = self._held, ""
        self.why = self.why or why
        return held if why == "end" and not self._is_below(held.rpartition("\n")[2]) else ""

    def _in_line(self, text: str) -> tuple[str, str]:
        line, newline, rest = text.partition("\n")
        self._anything = self._anything or bool(line.strip())
        if not newline:
            return line, ""
        if self._stop.single_line and self._anything:
            self.why = "line"
            return line, ""
        self._line_open = False
        return line + "\n", rest

    def _at_start(self, text: str) -> tuple[str, str]:
        self._held += text
        bare = self._held.lstrip(WHITE)
        if not bare:
            return "", ""
        blank = self._held[: len(self._held) - len(bare)]
        indentation = blank.rpartition("\n")[2]
        if self._anything and self._stop.indent is not None and columns(indentation, self._stop.tab) < self._stop.indent:
            self.why = "indent"
            return "", ""
        line, newline, _ = (indentation + bare).partition("\n")
        if not newline and self._below.startswith(line.rstrip()):  # it may become the line below, or differ later
            return "", ""
        if newline and self._is_below(line):
            self.why = "end"
            return "", ""
        self._held, self._line_open = "", True
        return blank, bare

    def _is_below(self, line: str) -> bool:
        return bool(self._below) and line.rstrip() == self._below
