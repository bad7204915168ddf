"""Line hunks: changes of a document, as lines before and lines now. Pure.

The hunks of a document are disjoint and ordered, with places in the present text. Restoring the old lines of all hunks, from the last to the first,
gives the text at the beginning of the history (`beginning`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

MERGE_LINES = 8
"""Hunks with fewer unchanged lines between them are merged in prompts."""
MERGE_SECONDS = 1.0
"""Changes of a hunk within this time are one step."""
MOST_STATES = 8
"""Maximum number of earlier states of a hunk, which are kept to recognise an undo."""


class Splice(NamedTuple):
    """Lines of the text before a change, and the lines that replace them, without line ends."""

    first: int
    old: Sequence[str]
    new: Sequence[str]

    @property
    def end(self) -> int:
        """The line after the last one, in the text before the change."""
        return self.first + len(self.old)


class Hunk(msgspec.Struct, kw_only=True):
    """One changed range of lines."""

    document: str
    first: int
    """Line of the present text, from 0."""
    old: list[str]
    """The lines at the beginning of the history."""
    new: list[str]
    """The present lines."""
    began: float
    changed: float
    """Time of the last change, in seconds of the history's clock."""
    order: int
    """Greater than the order of all hunks changed earlier."""
    accepted: bool = False
    """It is an accepted suggestion without later edits."""
    states: list[list[str]] = []
    """The lines after earlier steps, oldest first."""

    @property
    def end(self) -> int:
        """The line after the last one, in the present text."""
        return self.first + len(self.new)

    @property
    def blank(self) -> bool:
        """Whether only white space was changed."""
        return "".join("".join(self.old).split()) == "".join("".join(self.new).split())


def trimmed(splice: Splice) -> Splice:
    """The splice without equal lines at its ends."""
    old, new = splice.old, splice.new
    head, most = 0, min(len(old), len(new))
    while head < most and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < most - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return Splice(splice.first + head, old[head : len(old) - tail], new[head : len(new) - tail])


def size(splice: Splice) -> tuple[int, int]:
    """Number of characters and lines that a trimmed splice changes: the larger of removed and added."""
    old, new = "\n".join(splice.old), "\n".join(splice.new)
    head, most = 0, min(len(old), len(new))
    while head < most and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < most - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return most - head - tail + abs(len(old) - len(new)), max(len(splice.old), len(splice.new))


def touches(hunk: Hunk, splice: Splice) -> bool:
    """Whether they share a line, or one of them is empty and at the other's border."""
    if hunk.first < splice.end and splice.first < hunk.end:
        return True
    empty = not hunk.new or not splice.old
    return empty and hunk.first <= splice.end and splice.first <= hunk.end


def joined(splice: Splice, hunks: Sequence[Hunk]) -> Splice:
    """A splice and the hunks that it touches, in their order, as one change since the beginning of the history."""
    old: list[str] = []
    position = splice.first
    for hunk in hunks:
        if hunk.first > position:
            old += splice.old[position - splice.first : hunk.first - splice.first]
        old += hunk.old
        position = max(position, hunk.end)
    if position < splice.end:
        old += splice.old[position - splice.first :]
    left, right = (hunks[0], hunks[-1]) if hunks else (None, None)
    before = left.new[: max(0, splice.first - left.first)] if left else []
    after = right.new[max(0, splice.end - right.first) :] if right else []
    first = min(splice.first, left.first) if left else splice.first
    return trimmed(Splice(first, old, [*before, *splice.new, *after]))


def beginning(lines: Sequence[str], hunks: Sequence[Hunk]) -> list[str]:
    """The text before all of a document's hunks, which are in the order of their places."""
    text = list(lines)
    for hunk in reversed(hunks):
        text[hunk.first : hunk.end] = hunk.old
    return text


def merged(lines: Sequence[str], hunks: Sequence[Hunk]) -> list[Splice]:
    """A document's hunks with close ones merged; `first` is the line in the present text."""
    found: list[Splice] = []
    for hunk in hunks:
        if hunk.blank:
            continue
        last = found[-1] if found else None
        end = last.first + len(last.new) if last else 0
        if last and hunk.first - end < MERGE_LINES:
            between = lines[end : hunk.first]
            found[-1] = Splice(last.first, [*last.old, *between, *hunk.old], [*last.new, *between, *hunk.new])
        else:
            found.append(Splice(hunk.first, hunk.old, hunk.new))
    return found
