"""Where an answer's text ends, and what of it may be shown already. Pure: bytes in, whole characters out."""

from __future__ import annotations

import codecs
import io
from typing import Literal

from infill.ask import Stop
from infill.columns import columns

Why = Literal["end", "line", "indent", "length", "deadline", "stopped"]


class TextStream:
    """One candidate's text as it grows.

    White space after a line break is held back until something follows it: whether that line still belongs to the answer shows only then.
    """

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
        self._held = ""
        """White space of lines that have nothing else yet."""
        self._line_open = True
        """False once a line break was seen: what follows is the start of a line."""
        self._anything = False
        self.why: Why | None = None

    def feed(self, data: bytes) -> str:
        """Add a token's bytes; returns the text that is certain now, and sets `why` when a rule ends the answer."""
        text = self._decoder.decode(data)
        shown = []
        while text and self.why is None:
            piece, text = self._in_line(text) if self._line_open else self._at_start(text)
            shown.append(piece)
        return "".join(shown)

    def finish(self, why: Why) -> str:
        """The answer ended for another reason; returns what was held back where it belongs to the answer."""
        held, self._held = self._held, ""
        self.why = self.why or why
        return held if why == "end" else ""

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
        stripped = text.lstrip(" \t\r\n\f\v")
        self._held += text[: len(text) - len(stripped)]
        if not stripped:
            return "", ""
        indentation = self._held.rpartition("\n")[2]
        if self._anything and self._stop.indent is not None and columns(indentation, self._stop.tab) < self._stop.indent:
            self.why = "indent"
            return "", ""
        held, self._held, self._line_open = self._held, "", True
        return held, stripped
