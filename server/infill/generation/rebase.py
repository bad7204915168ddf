"""Where a place went while its code was being written: edits elsewhere move it, an edit of the place itself ends the matter. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher

MOST_LINES = 20_000
"""Beyond so many changed lines the comparison would take longer than anybody waits."""


def rebased(old: str, new: str, start: int, end: int) -> tuple[int, int] | None:
    """The offsets in `new` of what was `old[start:end]`; None where the lines that hold it were changed."""
    if old == new:
        return start, end
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    first, last = old.count("\n", 0, start), old.count("\n", 0, end)
    same = _common(before, after)
    if first < same and last < same:
        return start, end
    tail = _common(before[same:][::-1], after[same:][::-1])
    if first >= len(before) - tail:
        moved = len(new) - len(old)
        return start + moved, end + moved
    if len(before) - tail - same > MOST_LINES:
        return None
    for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        if block.a <= first and last < block.a + block.size:
            moved = sum(map(len, after[: block.b])) - sum(map(len, before[: block.a]))
            return start + moved, end + moved
    return None


def _common(one: list[str], other: list[str]) -> int:
    for count, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return count
    return min(len(one), len(other))
