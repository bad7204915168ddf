"""Reads a chat model's answer to a completion while it arrives, and returns only code that cannot change any more.

It uses whole lines only, so the result does not depend on the pieces in which an answer arrives.
"""

from __future__ import annotations

from infill.answers import languages
from infill.answers.blocks import open_string, parts
from infill.answers.code import INLINE, NOTHING, answering, blocks_of, chosen, mended, thinks_aloud, without_marks
from infill.answers.prose import is_lead, is_prose

REPEATED_LINES = 40
"""Maximum number of lines above the cursor that an answer may repeat."""


class Completion:
    """One answer. `feed` and `end` return the new part of the code."""

    def __init__(self, prefix: str = "", language: str = "") -> None:
        """`prefix`: the text before the cursor; `language`: an identifier or a file extension."""
        self._above = prefix.split("\n")[-REPEATED_LINES:]
        self._language = languages.canonical(language)
        self._raw = self._given = ""
        self._seen = 0

    def feed(self, piece: str) -> str:
        """Add a piece of the answer."""
        self._raw += piece
        new = ""
        while (newline := self._raw.find("\n", self._seen)) >= 0:
            self._seen = newline + 1
            new += self._step(self._raw[: self._seen], done=False)
        return new

    def end(self) -> str:
        """End the answer."""
        return self._step(self._raw, done=True)

    def _step(self, raw: str, *, done: bool) -> str:
        certain = self._certain(raw, done=done)
        if not certain.startswith(self._given):
            return ""
        new, self._given = certain[len(self._given) :], certain
        return new

    def _certain(self, raw: str, *, done: bool) -> str:
        if not done and thinks_aloud(raw):
            return ""
        found = mended([part for part in parts(raw, done=done) if part.kind != "reasoning"])
        if blocks := blocks_of(found):
            block = next((block for block in blocks if answering(block, self._language)), chosen(blocks, self._language) if done else NOTHING)
            code = block.text if block.closed or done else block.text.rstrip()
        else:
            code = self._bare("\n".join(part.text for part in found), done=done)
        return self._new(without_marks(code, done=True), done=done)

    def _bare(self, text: str, *, done: bool) -> str:
        """The lines of code up to the first sentence after them; in prose languages, all text except the lead."""
        kept: list[str] = []
        quote = ""
        lines = text.split("\n")
        for line in lines if done else lines[:-1]:
            if not kept and (not line.strip() or is_lead(line)):
                continue
            if inline := INLINE.match(line.strip()):
                return inline[1] if not kept else "\n".join(kept).rstrip()
            if self._language not in languages.PROSE and not quote and is_prose(line):
                if kept:
                    break  # an explanation
                continue
            quote = open_string(line, quote)
            kept.append(line)
        return "\n".join(kept).rstrip("\n") if done else "\n".join(kept).rstrip()

    def _new(self, code: str, *, done: bool) -> str:
        """The code without leading lines that repeat the lines above the cursor."""
        lines = code.split("\n")
        for start in range(len(self._above)):
            whole, begun = self._above[start:-1], self._above[-1]
            if not _significant(whole, begun) or [line.strip() for line in lines[: len(whole)]] != [line.strip() for line in whole[: len(lines)]]:
                continue
            if len(lines) <= len(whole):
                if not done or len(lines) > 1:
                    return ""
                continue
            first, rest = lines[len(whole)], lines[len(whole) + 1 :]
            if not done and not rest and begun.strip().startswith(first.strip()):
                return ""
            if first.lstrip().startswith(begun.strip()):
                left = first.lstrip()[len(begun.strip()) :]
                return "\n".join([left.lstrip() if begun[-1:] in " \t" or not begun.strip() else left, *rest])
        return code


def _significant(whole: list[str], begun: str) -> bool:
    """Whether the lines are specific enough to count as a repetition."""
    letters = sum(character.isalnum() for line in (whole or [begun]) for character in line)
    return letters >= (4 if whole else 3) and (not whole or bool(whole[0].strip()))
