"""Recent edits in the documents of a workspace, as line hunks whose places move with later edits.

The numbers of hunks and lines are limited. Recording takes time proportional to the change, not to the document. Changes that were not typed are
excluded: formatter runs, pasted blocks and actions on save. Such a change, and each hunk that it touches, becomes part of the initial text.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from infill.edits.hunks import MERGE_SECONDS, MOST_STATES, Hunk, Splice, joined, size, touches, trimmed

MOST_HUNKS = 50
"""Maximum number of hunks in a workspace; the oldest are removed."""
LARGEST_HUNK = 200
"""Maximum number of lines; a longer hunk is removed."""
BULK_CHARACTERS, BULK_LINES = 200, 8
"""A larger change is not typing."""
SAVE_SECONDS = 0.3
"""Several changes at once within this time before a save are an action on save."""
REMEMBERED_UNDONE = 20

Kind = Literal["typed", "undone", "redone", "kept out", "saved"]


class Event(NamedTuple):
    """The last event of a document."""

    document: str
    kind: Kind
    at: float


class Undone(NamedTuple):
    """A change that the user has undone."""

    document: str
    old: tuple[str, ...]
    new: tuple[str, ...]


class History:
    """Records changes and merges them into hunks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hunks: dict[str, list[Hunk]] = {}
        self._order = 0
        self._now = 0.0
        self._action: tuple[str, int, float] | None = None
        """A change in several places, possibly by an action on save: document, order of the last hunk before it, time."""
        self.last: Event | None = None
        self.undone: deque[Undone] = deque(maxlen=REMEMBERED_UNDONE)
        """Changes that the user has undone, the newest last."""

    def changed(self, document: str, splices: Sequence[Splice]) -> None:
        """Record one change event of the editor: splices in the order of application, each relative to the text before it."""
        real = [splice for splice in map(trimmed, splices) if splice.old or splice.new]
        if not real:
            return
        self._now = self._clock()
        sizes = [size(splice) for splice in real]
        if sum(one for one, _ in sizes) > BULK_CHARACTERS or sum(lines for _, lines in sizes) > BULK_LINES:
            for splice in real:
                self._take_out(document, splice)
            self._happened(document, "kept out")
            return
        kinds = [self._record(document, splice) for splice in real]
        self._happened(document, kinds[-1])
        self._action = (document, self._order - len(real), self._now) if len(real) > 1 else None
        self._bound()

    def saved(self, document: str) -> None:
        """Record a save: changes in several places just before it were an action on save."""
        order = self._action[1] if self._action else 0
        if self._action and self._action[0] == document and self._clock() - self._action[2] < SAVE_SECONDS:
            self._keep(document, [hunk for hunk in self.of(document) if hunk.order <= order])
            self._happened(document, "saved")
        self._action = None

    def accepted(self, document: str, first: int, end: int) -> None:
        """Mark the lines `first` up to `end` of the present text as an accepted suggestion, but no larger hunk, which also contains typed text."""
        for hunk in self.of(document):
            if first <= hunk.first and hunk.end <= end:
                hunk.accepted = True

    def forget(self, document: str) -> None:
        """Remove the hunks of a document that was closed or replaced as a whole."""
        self._hunks.pop(document, None)

    def of(self, document: str) -> list[Hunk]:
        """A document's hunks in the order of their places, including changes of white space."""
        return self._hunks.get(document, [])

    def recent(self) -> list[Hunk]:
        """The hunks of all documents, except changes of white space, the newest first."""
        hunks = [hunk for one in self._hunks.values() for hunk in one if not hunk.blank]
        return sorted(hunks, key=lambda hunk: -hunk.order)

    def _happened(self, document: str, kind: Kind) -> None:
        self.last = Event(document, kind, self._now)

    def _split(self, document: str, splice: Splice) -> tuple[list[Hunk], list[Hunk], list[Hunk]]:
        """The hunks before a splice, those that it touches, and those after it, which are moved."""
        before: list[Hunk] = []
        touched: list[Hunk] = []
        behind: list[Hunk] = []
        for hunk in self.of(document):
            if touches(hunk, splice):
                touched.append(hunk)
            elif hunk.end <= splice.first:
                before.append(hunk)
            else:
                hunk.first += len(splice.new) - len(splice.old)
                behind.append(hunk)
        return before, touched, behind

    def _take_out(self, document: str, splice: Splice) -> None:
        before, _, behind = self._split(document, splice)
        self._keep(document, [*before, *behind])

    def _record(self, document: str, splice: Splice) -> Kind:
        self._order += 1
        before, touched, behind = self._split(document, splice)
        whole = joined(splice, touched)
        made: list[Hunk] = []
        kind: Kind = "typed"
        if list(whole.old) == list(whole.new):
            kind = "undone"
            for hunk in touched:
                self._undo(hunk)
        elif len(whole.new) <= LARGEST_HUNK and len(whole.old) <= LARGEST_HUNK:
            hunk, kind = self._hunk(document, whole, touched)
            made.append(hunk)
        self._keep(document, [*before, *made, *behind])
        return kind

    def _hunk(self, document: str, whole: Splice, touched: list[Hunk]) -> tuple[Hunk, Kind]:
        now, new = self._now, list(whole.new)
        earlier = [state for hunk in touched for state in hunk.states]
        kind: Kind = "undone" if new in earlier else "typed"
        again = Undone(document, tuple(whole.old), tuple(new))
        if again in self.undone:
            kind = "redone"
            self.undone.remove(again)
        if kind == "undone":
            for hunk in touched:
                self._undo(hunk)
        states = earlier + [hunk.new for hunk in touched if now - hunk.changed >= MERGE_SECONDS]
        hunk = Hunk(
            document=document,
            first=whole.first,
            old=list(whole.old),
            new=new,
            began=min((hunk.began for hunk in touched), default=now),
            changed=now,
            order=self._order,
            states=states[-MOST_STATES:],
        )
        return hunk, kind

    def _undo(self, hunk: Hunk) -> None:
        for state in [*hunk.states, hunk.new]:
            gone = Undone(hunk.document, tuple(hunk.old), tuple(state))
            if gone not in self.undone:
                self.undone.append(gone)

    def _keep(self, document: str, hunks: list[Hunk]) -> None:
        if hunks:
            self._hunks[document] = hunks
        else:
            self._hunks.pop(document, None)

    def _bound(self) -> None:
        """Remove the oldest hunks beyond the limit."""
        every = [hunk for hunks in self._hunks.values() for hunk in hunks]
        if len(every) <= MOST_HUNKS:
            return
        oldest = min(every, key=lambda hunk: hunk.order)
        self._keep(oldest.document, [hunk for hunk in self.of(oldest.document) if hunk is not oldest])
        self._bound()
