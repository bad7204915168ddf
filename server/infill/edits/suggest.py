"""Runs the rules in order and excludes undone and rejected edits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal

from infill.edits import diagnostics, insert, rename, repeat, same_line, signature
from infill.edits.history import Undone
from infill.edits.tokens import aligned
from infill.edits.types import Change, Situation, Suggestion

Eagerness = Literal["low", "medium", "high"]
Rule = Callable[[Situation], Suggestion | None]
MOST_LINES = 50_000
"""Maximum number of lines; longer documents get no suggestion."""


def suggest(
    situation: Situation, *, undone: Collection[Undone] = (), rejected: Collection[str] = (), eagerness: Eagerness = "medium"
) -> Suggestion | None:
    """The next edit, or None. `undone`: changes that the user has undone; `rejected`: groups that the user rejected."""
    if len(situation.lines) > MOST_LINES:
        return None
    for rule in rules(eagerness):
        found = rule(situation)
        if found is not None and found.group not in rejected and not _was_there(situation, found, undone):
            return found
    return None


def rules(eagerness: Eagerness) -> list[Rule]:
    """The rules in order. `low`: only consequences of a definition; `high`: also repeats after one example."""
    found: list[Rule] = [rename.suggest, signature.suggest]
    if eagerness != "low":
        found += [lambda situation: repeat.suggest(situation, singles=eagerness == "high"), insert.suggest, same_line.suggest]
    return [*found, diagnostics.suggest]


def _was_there(situation: Situation, suggestion: Suggestion, undone: Collection[Undone]) -> bool:
    """Whether the suggestion repeats an undone change, or undoes a change of the history."""
    change = suggestion.change
    if change is None:
        return False
    old, new = tuple(situation.lines[change.first : change.end]), change.new
    if any(_holds(one.old, one.new, old, new) for one in undone if one.document == situation.document):
        return True
    return any(_holds(hunk.new, hunk.old, old, new) for hunk in situation.hunks) or any(
        row[1:] == (new[0] if new else None, old[0] if old else None) for hunk in situation.hunks for row in aligned(hunk) if len(new) <= 1
    )


def _holds(before: Sequence[str], after: Sequence[str], old: tuple[str, ...], new: tuple[str, ...]) -> bool:
    """Whether the change from `before` to `after` is, or contains line by line, the one from `old` to `new`."""
    if (tuple(before), tuple(after)) == (old, new):
        return True
    return len(before) == len(after) and len(old) == len(new) == 1 and (old[0], new[0]) in zip(before, after, strict=True)


def applied(lines: Sequence[str], changes: Sequence[Change]) -> list[str]:
    """The text after changes, which are in the order of their places."""
    text = list(lines)
    for change in reversed(changes):
        text[change.first : change.end] = change.new
    return text
