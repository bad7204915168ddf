"""Which suggestions are not offered again: rejected groups, and groups that the user ignored."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from infill.edits.history import History
from infill.edits.suggest import Eagerness, suggest
from infill.edits.types import Situation, Suggestion

REMEMBERED = 50
PASSED_OVER = {"rename": 2}
"""How often a suggestion of a source may be ignored before it is no longer offered; once for other sources."""


class Offer(msgspec.Struct, frozen=True):
    """The last suggestion in a document, the text at its place, and the order of the last change before it."""

    suggestion: Suggestion
    old: tuple[str, ...]
    order: int


class Offers:
    """Runs the rules and stores their results. One per workspace."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._last: dict[str, Offer] = {}
        self.on_ignored: Callable[[str, Suggestion], None] = lambda document, suggestion: None
        """Called with a document and a suggestion that the user ignored."""
        self._passed: OrderedDict[tuple[str, str], int] = OrderedDict()

    def next(self, situation: Situation, eagerness: Eagerness) -> Suggestion | None:
        """The next edit after typing; None after an undo, a paste or a formatter run."""
        last = self._history.last
        if last is None or last.document != situation.document or last.kind != "typed":
            return None
        order = max((hunk.order for hunk in situation.hunks), default=0)
        self._look_back(situation, order)
        found = suggest(situation, undone=self._history.undone, rejected=self.refused(situation.document), eagerness=eagerness)
        if found is not None:
            change = found.change
            old = tuple(situation.lines[change.first : change.end]) if change else (situation.lines[found.line],)
            self._last[situation.document] = Offer(found, old, order)
        return found

    def rejected(self, document: str, group: str) -> None:
        """Stop offering a group that the user rejected."""
        self._leave((document, group), 0)
        if (offer := self._last.get(document)) is not None and offer.suggestion.group == group:
            del self._last[document]

    def refused(self, document: str) -> set[str]:
        """The groups of a document that are not offered again."""
        return {group for (name, group), times in self._passed.items() if name == document and times <= 0}

    def forget(self, document: str) -> None:
        """Remove the data of a closed document."""
        self._last.pop(document, None)
        for key in [key for key in self._passed if key[0] == document]:
            del self._passed[key]

    def _look_back(self, situation: Situation, order: int) -> None:
        """Record that the user ignored the last suggestion, if another edit followed and its place is unchanged."""
        offer = self._last.get(situation.document)
        if offer is None or order <= offer.order:
            return
        del self._last[situation.document]
        newest = max(situation.hunks, key=lambda hunk: hunk.order)
        if newest.accepted or tuple(newest.old) == offer.old:
            return
        self.on_ignored(situation.document, offer.suggestion)
        key = situation.document, offer.suggestion.group
        self._leave(key, self._passed.get(key, PASSED_OVER.get(offer.suggestion.source, 1)) - 1)

    def _leave(self, key: tuple[str, str], times: int) -> None:
        """Set how often a group of a document may still be ignored."""
        self._passed[key] = times
        self._passed.move_to_end(key)
        while len(self._passed) > REMEMBERED:
            self._passed.popitem(last=False)
