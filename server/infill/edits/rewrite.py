"""From the lines that a model rewrote to single edits, and when an answer can be stopped because it has rejoined the old text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from infill.edits.types import Change

FUSED_LINES = 2
"""Changes with so few unchanged lines between them are one edit."""
SAME_LINES, SAME_WORDED_LINES = 3, 2
"""Old lines in a row after a change from which an answer has rejoined the old text; fewer suffice where all of them hold words."""


def changes(old: Sequence[str], new: Sequence[str], first: int, cursor: int) -> list[Change]:
    """The edits that make `old`, which begins at line `first`, into `new`: from the cursor's line downward, then those above it, nearest first.

    Each is for the present text, without the others.
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
    """The whole rewritten region, once the complete lines `new` of an unfinished answer go on as the old text does; None: not yet."""
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
    """Whether lines in a row tell where they stand: closing brackets and blank lines do not."""
    worded = sum(any(character.isalnum() for character in line) for line in tail)
    return worded == count if count == SAME_WORDED_LINES else worded >= 1
