"""The text of one document as its editor sees it: lines with their ends (LF, CR LF or CR, nothing else), edited in place.

The cost of an edit depends on the length of its lines, not of the document; reads are bounded. Uses no LSP type, URI or clock.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from infill.edits.hunks import Splice
from infill.lsp import convert
from infill.lsp.convert import Encoding

PREFIX_CHARACTERS = 65_536
"""Longest text before the cursor in a request; no model's prompt uses more."""
SUFFIX_CHARACTERS = 32_768
"""Longest text after the cursor in a request."""
LINE_STEP = 256
"""Long text is cut at a multiple of so many lines, so that the cut does not move while the user types."""
CHARACTER_STEP = 16_384
"""The same within one very long line, in characters."""


class Text:
    """A document's lines, and its editor's position encoding."""

    def __init__(self, source: str, encoding: Encoding = "utf-16") -> None:
        self.encoding = encoding
        self.lines = split(convert.joined(source))
        self.splice = Splice(0, (), ())
        """The change by the last `replace`."""

    def __str__(self) -> str:
        return "".join(self.lines)

    def line(self, number: int) -> str:
        """A line without its end."""
        return self.lines[number].rstrip("\r\n")

    def locate(self, line: int, units: int) -> tuple[int, int]:
        """An editor's position as line and index, clamped to the document."""
        if line < 0:
            return 0, 0
        if line >= len(self.lines):
            last = len(self.lines) - 1
            return last, len(self.line(last))
        return line, convert.to_index(self.line(line), units, self.encoding)

    def units(self, line: int, index: int) -> tuple[int, int]:
        """The editor's position of a line and index, clamped."""
        number = max(0, min(line, len(self.lines) - 1))
        return number, convert.to_units(self.line(number), index, self.encoding)

    def replace(self, start: tuple[int, int], end: tuple[int, int], new: str) -> tuple[int, int]:
        """Put `new` between two positions (line, code units) and return where it ends (line, index)."""
        first, left = self._cut(*start, keep_right=False)
        last, right = self._cut(*max(start, end), keep_right=True)  # a range that ends before it starts is empty
        middle = convert.joined(left + new + right)
        if middle.startswith("\n") and first and self.lines[first - 1].endswith("\r"):
            first -= 1  # a lone CR and this LF now form one line end
            middle = self.lines[first] + middle
        lines = split(middle)
        lines = lines if last + 1 == len(self.lines) else lines[:-1]
        self.splice = Splice(first, without_ends(self.lines[first : last + 1]), without_ends(lines))
        self.lines[first : last + 1] = lines
        return self._end_of(first, middle, right)

    def before(self, line: int, index: int) -> str:
        """The text before a position, at most PREFIX_CHARACTERS; typing does not move the cut."""
        head = self.line(line)[:index]
        if len(head) > PREFIX_CHARACTERS:
            return convert.readable(head[_round_up(len(head) - PREFIX_CHARACTERS, CHARACTER_STEP) :])
        first, room = line, PREFIX_CHARACTERS - len(head)
        while first and room >= len(self.lines[first - 1]):
            first -= 1
            room -= len(self.lines[first])
        if first and _round_up(first, LINE_STEP) <= line:
            first = _round_up(first, LINE_STEP)
        return convert.readable("".join(self.lines[first:line]) + head)

    def after(self, line: int, index: int) -> str:
        """The text after a position, at most SUFFIX_CHARACTERS."""
        tail = self.lines[line][index:]
        if len(tail) > SUFFIX_CHARACTERS:
            return convert.readable(tail[:SUFFIX_CHARACTERS])
        last, room = line + 1, SUFFIX_CHARACTERS - len(tail)
        while last < len(self.lines) and room >= len(self.lines[last]):
            room -= len(self.lines[last])
            last += 1
        # counted from the end: a line typed above the cut does not move it
        if last < len(self.lines) and (border := len(self.lines) - _round_up(len(self.lines) - last, LINE_STEP)) > line:
            last = border
        return convert.readable(tail + "".join(self.lines[line + 1 : last]))

    def around(self, line: int, characters: int) -> str:
        """Whole lines around `line`, at most `characters` long."""
        first, last = self._clamp(line), self._clamp(line) + 1
        room = characters - len(self.lines[first])
        while room > 0 and (first or last < len(self.lines)):
            if first:
                first -= 1
                room -= len(self.lines[first])
            if last < len(self.lines) and room > 0:
                room -= len(self.lines[last])
                last += 1
        return convert.readable("".join(self.lines[first:last]))[:characters]

    def _clamp(self, line: int) -> int:
        return max(0, min(line, len(self.lines) - 1))

    def _cut(self, line: int, units: int, *, keep_right: bool) -> tuple[int, str]:
        number = self._clamp(line)
        whole = self.lines[number]
        body = self.line(number)
        if line >= len(self.lines):
            units = len(body) * 2 + 1  # after the last line: its end, in every encoding
            units = max(units, len(body.encode("utf-8", "surrogatepass")))
        left, right = convert.cut(body, 0 if line < 0 else units, self.encoding)
        return number, right + whole[len(body) :] if keep_right else left

    def _end_of(self, first: int, middle: str, right: str) -> tuple[int, int]:
        head = split(middle[: len(middle) - len(right)])
        return first + len(head) - 1, len(head[-1])


def without_ends(lines: Sequence[str]) -> list[str]:
    return [line.rstrip("\r\n") for line in lines]


def split(text: str) -> list[str]:
    """Lines with their ends; the last one has none. (`str.splitlines` would also split at form feeds and the like, which editors do not.)"""
    if "\r" in text:
        lines = list(io.StringIO(text, newline=""))
    else:
        lines = [line + "\n" for line in text.split("\n")]
        lines[-1] = lines[-1][:-1]
        return lines
    if not lines or lines[-1].endswith(("\n", "\r")):
        lines.append("")
    return lines


def _round_up(number: int, step: int) -> int:
    return -(-number // step) * step
