"""Client-side end of an answer: lines, indentation, and stop words that the server does not support or ignored. Pure.

Servers are also sent stop rules if their API has them. This module enforces all rules for every server, with any number of stop words.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

from infill.ask import Stop
from infill.columns import columns

CHARACTERS_PER_TOKEN = 16
"""Longest answer in characters per requested token: stops servers that ignore the token limit."""
BYTE_ORDER_MARK = "\ufeff"
Why = Literal["end", "line", "indent", "length", "deadline", "stopped"]


class Cutter:
    """Takes an answer in pieces and returns the part to keep. `why` is the stop reason, None before the end."""

    def __init__(self, stop: Stop, words: Sequence[str] = ()) -> None:
        self.why: Why | None = None
        self._stop = stop
        self._newlines = io.IncrementalNewlineDecoder(None, translate=True)
        self._words = tuple(word for word in words if word)
        self._text = ""
        self._given = 0
        self._line = 0
        """Offset of the current line."""
        self._solid = 0
        """Offset of the end of the last line that is not blank; 0 if there is none."""

    @property
    def ended(self) -> bool:
        """Whether the answer has ended."""
        return self.why is not None

    def feed(self, piece: str) -> str:
        """The text that can be passed on now."""
        if self.ended:
            return ""
        return self._take(self._newlines.decode(piece))

    def end(self) -> str:
        """The text that was held back, at the end of the answer."""
        given = "" if self.ended else self._take(self._newlines.decode("", final=True))
        if not self.ended:
            self.why = "end"
        return given + self._give(len(self._text))

    def _take(self, piece: str) -> str:
        before = len(self._text)
        self._text += piece if before else piece.lstrip(BYTE_ORDER_MARK)
        self._stop_at_word(before)
        self._stop_at_line()
        self._stop_at_length()
        return self._give(self._certain())

    def _give(self, until: int) -> str:
        given = self._text[self._given : until]
        self._given = max(self._given, until)
        return given

    def _cut(self, at: int, why: Why) -> None:
        self._text, self.why = self._text[: max(at, self._given)], why

    def _stop_at_word(self, before: int) -> None:
        start = max(0, before - max(map(len, self._words), default=0))
        found = [at for word in self._words if (at := self._text.find(word, start)) >= 0]
        if found:
            self._cut(min(found), "end")

    def _stop_at_line(self) -> None:
        """Check the new lines, and end the answer where a rule for lines says so."""
        while True:
            newline = self._text.find("\n", self._line)
            line = self._text[self._line : newline if newline >= 0 else len(self._text)]
            bare = line.lstrip(" \t")
            if bare and self._solid and columns(line, self._stop.tab) < self._limit():
                return self._cut(self._solid, "indent")
            if newline < 0:
                return None
            if bare:
                self._solid = newline
            if self._stop.single_line and self._text[:newline].strip():
                return self._cut(newline, "line")
            self._line = newline + 1

    def _limit(self) -> int:
        """The indentation in columns below which a line ends the answer. Servers that strip answers remove that of the first line or of all."""
        first = self._text.lstrip("\n")
        return 0 if self._stop.whole_lines and first[:1] not in {" ", "\t"} else self._stop.indent or 0

    def _stop_at_length(self) -> None:
        limit = self._stop.max_tokens * CHARACTERS_PER_TOKEN
        if len(self._text) > limit:
            self._cut(limit, "length")

    def _certain(self) -> int:
        """Length of the final text: excludes a possible start of a stop word, and blank lines that a dedent may follow."""
        text = self._text
        if self.why is not None:
            return len(text)
        tails = (size for word in self._words for size in range(min(len(word) - 1, len(text)), 0, -1) if text.endswith(word[:size]))
        certain = len(text) - max(tails, default=0)
        if self._stop.indent is not None and self._solid and not text[self._line :].strip():
            certain = min(certain, self._solid)
        return certain
