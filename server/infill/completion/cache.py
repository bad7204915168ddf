"""Answers already had, found by where they were asked for. No I/O, no clock; a look costs microseconds and asks no model.

An answer is filed under its document and the text just above the line that it was asked on. A look walks up from the cursor's line: whoever typed
what an answer says, over however many lines, meets it again with the rest. Whether it may be shown is decided by what it was made of (provenance.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

import msgspec

from infill.completion.answer import Answer
from infill.completion.place import line_starts
from infill.completion.provenance import holds
from infill.completion.types import CompletionRequest

CAPACITY = 500
"""Answers; the least recently used goes. A few kilobytes each."""
NEAR = 64
"""Characters above a line by which the answers asked for on it are filed."""


class Hit(msgspec.Struct, frozen=True):
    """An answer, and what has been typed since the place that it was asked for."""

    answer: Answer
    typed: str


class Cache:
    """Least recently used last to stay."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._filed: dict[str, dict[str, list[Answer]]] = {}
        """By document, then by the text above."""
        self._used: OrderedDict[int, Answer] = OrderedDict()
        self._empty: dict[str, list[Answer]] = {}
        """By document: answers that say nothing, which stand until it changes."""

    def __len__(self) -> int:
        return len(self._used)

    def store(self, answer: Answer) -> None:
        """File an answer, growing or complete; one asked at exactly the same place before gives way."""
        drawer = self._drawer(answer)
        for old in [old for old in drawer if _same_question(old, answer) and old.asked <= answer.asked]:
            self.drop(old)
        self._drawer(answer).append(answer)
        self._used[id(answer)] = answer
        while len(self._used) > self._capacity:
            self.drop(next(iter(self._used.values())))

    def ended(self, answer: Answer) -> None:
        """An answer will grow no more: one of no use is forgotten, one that says nothing stands until its document changes."""
        if answer.says_nothing():
            self._empty.setdefault(answer.made_of.uri, []).append(answer)
        elif answer.error or not answer.rest(""):
            self.drop(answer)

    def changed(self, uri: str) -> None:
        """A document was changed: that there was nothing to say is asked again."""
        for answer in self._empty.pop(uri, ()):
            self.drop(answer)

    def drop(self, answer: Answer) -> None:
        """Forget one answer, if it is here."""
        if self._used.pop(id(answer), None) is None:
            return
        if answer in (empty := self._empty.get(answer.made_of.uri, [])):
            empty.remove(answer)
        drawer = self._drawer(answer)
        drawer.remove(answer)
        if not drawer:
            drawers = self._filed[answer.made_of.uri]
            del drawers[_near(answer.place.above)]
            if not drawers:
                del self._filed[answer.made_of.uri]

    def clear(self) -> None:
        """Forget everything: somebody else answers from now on."""
        self._filed.clear()
        self._used.clear()
        self._empty.clear()

    def find(self, request: CompletionRequest, serves: Callable[[Hit], bool] = lambda hit: True) -> Hit | None:
        """The answer that `serves` here: one with something to show, else one that grows, else one that says there is nothing."""
        growing = nothing = None
        for hit in filter(serves, self._around(request)):
            if not hit.answer.complete:
                if hit.answer.ready(hit.typed):
                    return self._touch(hit)
                growing = growing or hit
            elif any(suggestion.text.strip() for suggestion in hit.answer.rest(hit.typed)):
                return self._touch(hit)
            elif not hit.typed and hit.answer.says_nothing():
                nothing = nothing or hit
        found = growing or nothing
        return self._touch(found) if found else None

    def _touch(self, hit: Hit) -> Hit:
        self._used.move_to_end(id(hit.answer))
        return hit

    def _drawer(self, answer: Answer) -> list[Answer]:
        return self._filed.setdefault(answer.made_of.uri, {}).setdefault(_near(answer.place.above), [])

    def _around(self, request: CompletionRequest) -> Iterator[Hit]:
        """Answers that hold and agree with the document, the nearest and newest first."""
        drawers = self._filed.get(request.uri)
        if not drawers:
            return
        for start in line_starts(request.prefix):
            for answer in reversed(drawers.get(request.prefix[max(0, start - NEAR) : start], ())):
                typed = _typed_since(answer, request, start)
                if typed is not None:
                    yield Hit(answer, typed)


def follows(answer: Answer, request: CompletionRequest) -> bool:
    """Whether the document, as it is now, is on the way that the answer says."""
    return any(_typed_since(answer, request, start) is not None for start in line_starts(request.prefix))


def _typed_since(answer: Answer, request: CompletionRequest, start: int) -> str | None:
    """What was typed since an answer was asked for on the line at `start`; None where it was not, or no longer holds or agrees."""
    line_before = answer.place.line_before
    if not request.prefix.startswith(line_before, start):
        return None
    typed = request.prefix[start + len(line_before) :]
    # what was typed is compared first: most answers filed above a cursor say something else, and holding is dearer to find out
    return typed if answer.agrees(typed) and holds(answer.made_of, request, typed) else None


def _near(above: str) -> str:
    return above[-NEAR:]


def _same_question(first: Answer, second: Answer) -> bool:
    """Whether both were asked at the same place: where both hold, the newer one is enough."""
    return (first.place.line_before, first.made_of.prefix, first.made_of.suffix) == (
        second.place.line_before,
        second.made_of.prefix,
        second.made_of.suffix,
    )
