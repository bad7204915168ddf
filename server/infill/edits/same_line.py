"""Repeat the change or removal of a line for its other copies. Pure.

The evidence is a single edit, so the conditions are strict: the line was edited and not replaced, and no copy was edited differently. The copies are
in the user's direction: downward, unless the edit before is below.
"""

from __future__ import annotations

from collections.abc import Sequence

from infill.edits.hunks import Hunk
from infill.edits.tokens import aligned, indentation, is_name, pairs, shape, similar, words
from infill.edits.types import Change, Situation, Suggestion, group_of

DISTINCT_WORDS = 3
TELLING_WORDS = 6
"""Number of names from which copies of a line need no similar lines around them."""
MOST_COPIES = 5
MOST_LINES = 3
"""Maximum number of lines in a hunk; with more, the place was rewritten."""
LATEST_HUNKS = 2


def suggest(situation: Situation) -> Suggestion | None:
    """The same change or removal for the nearest copy of an edited line."""
    for hunk in situation.newest(LATEST_HUNKS):
        for line, old, new in reversed(_edited(hunk)):
            if (found := _suggestion(situation, hunk, line, old, new)) is not None:
                return found
    return None


def _edited(hunk: Hunk) -> Sequence[tuple[int, str, str | None]]:
    """The changed or removed lines, if there was nothing else: line of the present text, before, now."""
    if not hunk.new:
        return [(hunk.first, line, None) for line in hunk.old]
    changed = pairs(hunk)
    return changed if len(changed) <= MOST_LINES else []


def _suggestion(situation: Situation, hunk: Hunk, line: int, old: str, new: str | None) -> Suggestion | None:
    names = {word for word in words(old) if is_name(word)}
    if len(names) < DISTINCT_WORDS or (new is not None and not new.strip()):
        return None
    if (new is None and _moved(situation, old)) or (new is not None and not similar(old, new)) or _edited_otherwise(situation, old, new):
        return None
    copies = _copies(situation, old)
    if not 0 < len(copies) <= MOST_COPIES:
        return None
    if len(names) < TELLING_WORDS or new is None:
        copies = [at for at in copies if _same_around(situation, hunk, line, at)]
    copies = [at for at in copies if (at < line) == _upward(situation)]
    if not copies:
        return None
    changes = {at: _change(situation, at, new) for at in copies}
    reason = f"you {'removed' if new is None else 'changed'} the same line at line {line + 1}"
    return group_of(changes, line, source="same line", reason=reason, group=f"same {old.strip()} {(new or '').strip()}")


def _copies(situation: Situation, old: str) -> list[int]:
    changed = {line for hunk in situation.hunks for line in range(hunk.first, hunk.end)}
    text = old.strip()
    return [line for line, other in enumerate(situation.lines) if text in other and other.strip() == text and line not in changed]


def _change(situation: Situation, at: int, new: str | None) -> Change:
    if new is None:
        return Change(at, at + 1, ())
    return Change(at, at + 1, (indentation(situation.lines[at]) + new.strip(),))


def _moved(situation: Situation, old: str) -> bool:
    """Whether the line was inserted again elsewhere."""
    return any(old.strip() == line.strip() for hunk in situation.hunks for line in hunk.new)


def _edited_otherwise(situation: Situation, old: str, new: str | None) -> bool:
    """Whether another copy of the line was edited differently."""
    rows = [(before, now) for hunk in situation.hunks for _, before, now in aligned(hunk) if before is not None and before.strip() == old.strip()]
    return any((now or "").strip() != (new or "").strip() for _, now in rows)


def _upward(situation: Situation) -> bool:
    """Whether the newest edit is above the one before it."""
    newest = situation.newest(2)
    return len(newest) == 2 and newest[0].first < newest[1].first


def _same_around(situation: Situation, hunk: Hunk, line: int, copy: int) -> bool:
    """Whether a copy is next to a line like the one next to the edited line; otherwise it may have another meaning."""
    lines = situation.lines
    end = line + 1 if hunk.new else line
    rows = [(line - 1, copy - 1), (end, copy + 1)]
    near = [(lines[one], lines[other]) for one, other in rows if 0 <= one < len(lines) and 0 <= other < len(lines)]
    same = [one.strip() != "" and shape(one) == shape(other) for one, other in near]
    return any(same) if hunk.new else bool(same) and all(one.strip() == other.strip() for one, other in near)
