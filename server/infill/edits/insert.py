"""Repeat inserted lines between similar lines: the same field in the next struct literal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from infill.edits.repeat import FARTHEST, MORE_LINES, alike
from infill.edits.tokens import indentation, is_import, kind, shape, words
from infill.edits.types import Change, Situation, Suggestion, group_of

MOST_INSERTED = 3
LATEST_HUNKS = 6
_REMARKS = frozenset("#/*\"'`-")
MORE_EXAMPLES = 2
"""Number of examples required before the newest one if the inserted lines contain a value."""
NEAR = 8
"""Number of lines around a place in which the inserted line must not occur."""


class Inserted(NamedTuple):
    """Lines that were inserted between two others."""

    first: int
    new: tuple[str, ...]
    above: str
    below: str


def suggest(situation: Situation) -> Suggestion | None:
    """The same lines at the next place with similar lines above and below."""
    hunks = [*situation.newest(LATEST_HUNKS), *situation.accepted()]
    inserted = [one for hunk in hunks if (one := _inserted(situation, hunk.first, hunk.old, hunk.new)) is not None]
    if not inserted or not situation.newest(1) or situation.newest(1)[0].old:
        return None
    newest = inserted[0]
    if any(_key(one.new[0]) == _key(newest.new[0]) and _text(one.new) != _text(newest.new) for one in inserted):
        return None  # each place has its own value
    others = [one for one in inserted[1:] if _text(one.new) == _text(newest.new) and alike(one.above, newest.above)]
    places = _places(situation, newest)
    if len(places) < (1 if others else MORE_LINES) or (len(others) < MORE_EXAMPLES and _has_value(newest.new)):
        return None
    changes = {place: Change(place, place, _indented(newest, situation.lines[place - 1])) for place in places}
    where = f"line {newest.first + 1}" if not others else f"lines {others[0].first + 1} and {newest.first + 1}"
    return group_of(changes, newest.first, source="repeat", reason=f"you inserted the same on {where}", group=f"insert {_text(newest.new)}")


def _inserted(situation: Situation, first: int, old: Sequence[str], new: Sequence[str]) -> Inserted | None:
    lines, end = situation.lines, first + len(new)
    if old or not 0 < len(new) <= MOST_INSERTED or first == 0 or end >= len(lines) or any(len(words(line)) < 2 for line in new):
        return None
    above = lines[first - 1]
    if any(is_import(line) or line.strip()[:1] in _REMARKS for line in new):
        return None
    return Inserted(first, tuple(new), above, lines[end]) if indentation(above) == indentation(new[0]) and above.strip() else None


def _places(situation: Situation, newest: Inserted) -> list[int]:
    lines = situation.lines
    changed = {line for hunk in situation.hunks for line in range(hunk.first, hunk.end)}
    text, below, depth = _text(newest.new), shape(newest.below), indentation(newest.above)
    found = []
    for at in range(newest.first + 1, min(len(lines), newest.first + FARTHEST)):
        if at in changed or at - 1 in changed or indentation(lines[at - 1]) != depth or not alike(lines[at - 1], newest.above):
            continue
        begin, end = _block(lines, at, depth)
        there = any(_text(lines[line : line + len(newest.new)]) == text or _key(lines[line]) == _key(newest.new[0]) for line in range(begin, end))
        if shape(lines[at]) == below and not there:
            found.append(at)
    return found


def _block(lines: Sequence[str], at: int, depth: str) -> tuple[int, int]:
    """The lines around a place with at least this indentation."""
    begin = end = at
    while begin > 0 and at - begin < NEAR and lines[begin - 1].strip() and len(indentation(lines[begin - 1])) >= len(depth):
        begin -= 1
    while end < len(lines) and end - at < NEAR and lines[end].strip() and len(indentation(lines[end])) >= len(depth):
        end += 1
    return begin, end


def _key(line: str) -> tuple[str, ...]:
    return tuple(words(line)[:2])


def _has_value(lines: Sequence[str]) -> bool:
    """Whether the lines contain a number or a string, which may be specific to one place."""
    return any(kind(word) in {"number", "string"} for line in lines for word in words(line))


def _text(lines: Sequence[str]) -> str:
    return "\n".join(line.strip() for line in lines)


def _indented(newest: Inserted, above: str) -> tuple[str, ...]:
    cut = len(indentation(newest.above))
    return tuple(indentation(above) + line[cut:] for line in newest.new)
