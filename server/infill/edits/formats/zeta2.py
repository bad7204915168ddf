"""Zeta 2 (Zed, on Seed-Coder 8B): the text after the region, other files, recent edits as a diff, then the region between conflict marks.

Source: Zed's crate `zeta_prompt`, format V0211SeedCoder. An answer is the region's new text up to `>>>>>>> UPDATED`, or `NO_EDITS`.
"""

from __future__ import annotations

from infill.ask import Piece
from infill.edits.formats.base import MOST_RECENT, Material, Question, Read, Recent, cursor_in, holds, too_long, without_mark

SUFFIX, PREFIX, MIDDLE, FILE = "<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>", "<filename>"
CURSOR = "<|user_cursor|>"
CURRENT, SEPARATOR, UPDATED, NO_EDITS = "<<<<<<< CURRENT", "=======", ">>>>>>> UPDATED", "NO_EDITS"
BYTES_PER_TOKEN = 3
REGION_TOKENS, CONTEXT_TOKENS = 350, 150
"""Maximum numbers of tokens of the region and of the text around it."""
SUGGESTED = "// User accepted prediction:\n"


class Zeta2:
    """The format of Zeta 2."""

    name = "zeta2"
    controls: tuple[str, ...] = (SUFFIX, PREFIX, MIDDLE)
    stops: tuple[str, ...] = (UPDATED,)

    def ask(self, material: Material) -> Question | None:
        first, end = region(material)
        old = material.lines[first:end]
        if not old or too_long(old) or holds(old, (CURSOR, *self._marks())):
            return None
        return Question(
            format=self.name,
            first=first,
            end=end,
            old=old,
            pieces=(*before_region(material, end), *self._region(material, first, end), Piece("", MIDDLE)),
            max_tokens=1024,
        )

    def lines(self, question: Question, answer: str) -> list[str]:
        return answer.replace(CURSOR, "").split("\n")[:-1]

    def read(self, question: Question, answer: str) -> Read | None:
        answer = answer.partition(UPDATED)[0]
        if answer.strip() == NO_EDITS:
            return Read(question.old)
        return without_mark(answer.removesuffix("\n").split("\n"), CURSOR)

    def _marks(self) -> tuple[str, ...]:
        return CURRENT, UPDATED

    def _region(self, material: Material, first: int, end: int) -> list[Piece]:
        above = _ended(material.lines[context_above(material, first) : first])
        old = _ended(cursor_in(material.lines[first:end], material, first, CURSOR))
        return [Piece(f"{material.path}\n{above}{CURRENT}\n{old}{SEPARATOR}\n", FILE)]


def before_region(material: Material, end: int) -> list[Piece]:
    """The prompt before the document: the text after the region, other files, recent edits."""
    after = _ended(material.lines[end : _reach(material.lines, end, CONTEXT_TOKENS)]) or "\n"
    recent = material.recent[-MOST_RECENT:]
    history = [Piece("edit_history\n" + "".join(map(diff, recent)) + "\n", FILE)] if recent else []
    return [Piece(after, SUFFIX), Piece("", PREFIX), *(Piece(f"{one.path}\n{one.text}\n", FILE) for one in material.related), *history]


def diff(recent: Recent) -> str:
    """A recent edit as a unified diff without context."""
    old, new = ((f"{recent.first + (1 if lines else 0)},{len(lines)}", lines) for lines in (recent.old, recent.new))
    body = "".join(f"-{line}\n" for line in old[1]) + "".join(f"+{line}\n" for line in new[1])
    head = f"--- a/{recent.path}\n+++ b/{recent.path}\n@@ -{old[0]} +{new[0]} @@\n"
    return (SUGGESTED if recent.accepted else "") + head + body


def region(material: Material) -> tuple[int, int]:
    """The region: as many lines around the cursor as the budget allows, evenly above and below."""
    lines, line = material.lines, min(material.cursor[0], len(material.lines) - 1)
    first, end, left = line, line + 1, REGION_TOKENS * BYTES_PER_TOKEN - _bytes(lines[line])
    while True:
        grown = False
        if end < len(lines) and _bytes(lines[end]) <= left:
            left, end, grown = left - _bytes(lines[end]), end + 1, True
        if first > 0 and _bytes(lines[first - 1]) <= left:
            first, grown = first - 1, True
            left -= _bytes(lines[first])
        if not grown:
            break
    while end > line + 1 and end == len(lines) and not lines[end - 1]:
        end -= 1  # the empty text after the last line break is no line
    return first, end


def context_above(material: Material, first: int) -> int:
    """The first line of the context above the region."""
    left, at = CONTEXT_TOKENS * BYTES_PER_TOKEN, first
    while at > 0 and _bytes(material.lines[at - 1]) <= left:
        at -= 1
        left -= _bytes(material.lines[at])
    return at


def _reach(lines: tuple[str, ...], at: int, tokens: int) -> int:
    left = tokens * BYTES_PER_TOKEN
    while at < len(lines) and _bytes(lines[at]) <= left:
        left -= _bytes(lines[at])
        at += 1
    return at


def _bytes(line: str) -> int:
    return len(line.encode("utf-8", "replace")) + 1


def _ended(lines: tuple[str, ...] | list[str]) -> str:
    return "".join(line + "\n" for line in lines)
