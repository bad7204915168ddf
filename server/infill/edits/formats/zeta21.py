"""Zeta 2.1: like Zeta 2, but the region is divided into blocks by numbered marks, and an answer rewrites the blocks between two marks.

Source: Zed's crate `zeta_prompt`, format V0318SeedMultiRegions. The marks are at line starts, without their own line breaks. The same mark twice
means no change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from infill.ask import Piece
from infill.edits.formats.base import Material, Question, Read, cursor_in, without_mark
from infill.edits.formats.zeta2 import CURSOR, FILE, Zeta2, context_above

MARK = re.compile(r"<\|marker_(\d{1,4})\|>")
END = "<[end\u2581of\u2581sentence]>"
SHORTEST_BLOCK, LONGEST_BLOCK, MOVED = 6, 16, 5
_NO_BEGINNING = re.compile(r"\s*(?:[)}\]]|(?:break|continue|return|throw|end)\b)")
"""Lines that cannot begin a block."""


class Zeta21(Zeta2):
    """The format of Zeta 2.1."""

    name = "zeta2.1"
    stops = (END,)

    def lines(self, question: Question, answer: str) -> list[str]:
        span = _span(question, answer)
        if span is None:
            return []
        first, _, text = span
        return [*question.old[:first], *text.replace(CURSOR, "").split("\n")[:-1]]

    def read(self, question: Question, answer: str) -> Read | None:
        span = _span(question, answer.partition(END)[0], whole=True)
        if span is None:
            return None
        first, end, text = span
        body = text.removesuffix("\n").split("\n") if text else []
        return without_mark([*question.old[:first], *body, *question.old[end:]], CURSOR)

    def _marks(self) -> tuple[str, ...]:
        return ("<|marker_",)

    def _region(self, material: Material, first: int, end: int) -> list[Piece]:
        above = "".join(line + "\n" for line in material.lines[context_above(material, first) : first])
        marked, old = cursor_in(material.lines[first:end], material, first, CURSOR), material.lines[first:end]
        borders = blocks(old)
        body = ""
        for number, border in enumerate(borders, 1):
            until = borders[number] if number < len(borders) else border
            body += f"<|marker_{number}|>" + "".join(line + "\n" for line in marked[border:until])
        return [Piece(f"{material.path}\n{above}{body}\n", FILE)]


def blocks(lines: Sequence[str]) -> list[int]:
    """The first lines of the blocks and the end of the last one: cut at a blank line after six lines, else after sixteen."""
    found, at = [0], 1
    while at < len(lines):
        size = at - found[-1]
        if (size >= SHORTEST_BLOCK and not lines[at - 1].strip()) or size >= LONGEST_BLOCK:
            start = next((line for line in range(at, min(len(lines), at + MOVED + 1)) if _begins(lines[line])), at if size >= LONGEST_BLOCK else None)
            if start is not None:
                found.append(start)
                at = start
        at += 1
    return [*found, len(lines)]


def _begins(line: str) -> bool:
    return bool(line.strip()) and not _NO_BEGINNING.match(line)


def _span(question: Question, answer: str, *, whole: bool = False) -> tuple[int, int, str] | None:
    """First and last line of the rewritten region, and its text; None if its marks are not in the prompt."""
    marks = list(MARK.finditer(answer))
    borders = blocks(question.old)
    numbers = [int(mark[1]) for mark in marks]
    if not marks or numbers[0] < 1 or max(numbers) > len(borders) or numbers != sorted(numbers) or (whole and len(marks) < 2):
        return None
    first, end = borders[numbers[0] - 1], borders[numbers[-1] - 1]
    if len(numbers) > 1 and numbers[0] == numbers[-1]:
        return 0, 0, ""
    text = answer[marks[0].end() : marks[-1].start() if whole else len(answer)]
    return first, end, MARK.sub("", text)
