"""Where a place is after edits during generation: edits elsewhere move it; after an edit of the place itself there is none. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher

MOST_LINES = 20_000
"""Maximum number of changed lines; comparing more takes too long."""


def rebased(old: str, new: str, start: int, end: int) -> tuple[int, int] | None:
    """The offsets in `new` of the text `old[start:end]`; None if its lines were changed."""
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
    if (twin := _only_twin(before, after, first, last)) is not None:
        moved = twin - sum(map(len, before[:first]))
        return start + moved, end + moved
    if len(before) - tail - same > MOST_LINES:
        return None
    for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        if block.a <= first and last < block.a + block.size:
            moved = sum(map(len, after[: block.b])) - sum(map(len, before[: block.a]))
            return start + moved, end + moved
    return None


def _only_twin(before: list[str], after: list[str], first: int, last: int) -> int | None:
    """Offset in `after` of the lines `first..last` of `before`, if both contain exactly one such place."""
    wanted = [line.rstrip("\n") for line in before[first : last + 1]]
    if not any(line.strip() for line in wanted):
        return None
    found = [_places(lines, wanted) for lines in (before, after)]
    return sum(map(len, after[: found[1][0]])) if [len(places) for places in found] == [1, 1] else None


def _places(lines: list[str], wanted: list[str]) -> list[int]:
    count = len(wanted)
    return [at for at in range(len(lines) - count + 1) if [line.rstrip("\n") for line in lines[at : at + count]] == wanted]


def _common(one: list[str], other: list[str]) -> int:
    for count, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return count
    return min(len(one), len(other))
