"""From the lines that a model rewrote to single edits, and when an answer has rejoined the old text and can be stopped. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from infill.edits.types import Change

FUSED_LINES = 2
"""Changes with at most so many unchanged lines between them are one edit."""
SAME_LINES, SAME_WORDED_LINES = 3, 2
"""Number of consecutive old lines after a change that show that the answer has rejoined the old text; fewer if all have words."""


def changes(old: Sequence[str], new: Sequence[str], first: int, cursor: int) -> list[Change]:
    """The edits from `old`, which begins at line `first`, to `new`: from the cursor's line downward, then those above it, nearest first.

    Each applies to the present text, without the others.
    """
    found: list[Change] = []
    for tag, start, end, begin, until in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        last = found[-1] if found else None
        if last is not None and first + start - last.end <= FUSED_LINES:
            between = tuple(old[last.end - first : start])
            found[-1] = Change(last.first, first + end, (*last.new, *between, *new[begin:until]))
        else:
            found.append(Change(first + start, first + end, tuple(new[begin:until])))
    below = [change for change in found if max(change.end - 1, change.first) >= cursor]
    return below + [change for change in reversed(found) if change not in below]


def rejoined(old: Sequence[str], new: Sequence[str]) -> list[str] | None:
    """The whole rewritten region, if the complete lines `new` of an unfinished answer have rejoined the old text; else None."""
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    if same == len(new):
        return None
    for count in (SAME_WORDED_LINES, SAME_LINES):
        tail = list(new[len(new) - count :])
        if len(new) - count <= same - 1 or not _tells(tail, count):
            continue
        places = [at for at in range(same, len(old) - count + 1) if list(old[at : at + count]) == tail]
        if len(places) == 1:
            return [*new, *old[places[0] + count :]]
    return None


def _tells(tail: Sequence[str], count: int) -> bool:
    """Whether consecutive lines are specific enough to identify their place; closing brackets and blank lines are not."""
    worded = sum(any(character.isalnum() for character in line) for line in tail)
    return worded == count if count == SAME_WORDED_LINES else worded >= 1
