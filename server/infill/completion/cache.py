"""Cache of answers, by the place they were requested for. No I/O and no clock; a lookup takes microseconds.

The key is the document and the text just above the line of the request. A lookup goes up from the cursor's line. So a user who types what an answer
contains, over any number of lines, finds the rest of it. `provenance.py` decides whether the answer is still valid.
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
"""Number of answers, a few kilobytes each; the least recently used is removed first."""
NEAR = 64
"""Number of characters above the request's line that are the key."""


class Hit(msgspec.Struct, frozen=True):
    """An answer and the text typed since its request."""

    answer: Answer
    typed: str


class Cache:
    """Answers by document and place, with least-recently-used eviction."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._filed: dict[str, dict[str, list[Answer]]] = {}
        """By document, then by the text above the line."""
        self._used: OrderedDict[int, Answer] = OrderedDict()
        self._empty: dict[str, list[Answer]] = {}
        """By document: empty answers, valid until the document changes."""

    def __len__(self) -> int:
        return len(self._used)

    def store(self, answer: Answer) -> None:
        """Add an answer, growing or complete. It replaces an older one for exactly the same place."""
        drawer = self._drawer(answer)
        for old in [old for old in drawer if _same_question(old, answer) and old.asked <= answer.asked]:
            self.drop(old)
        self._drawer(answer).append(answer)
        self._used[id(answer)] = answer
        while len(self._used) > self._capacity:
            self.drop(next(iter(self._used.values())))

    def ended(self, answer: Answer) -> None:
        """Handle an answer that is complete: keep an empty one until its document changes, drop one with an error or without text to show."""
        if answer.says_nothing():
            self._empty.setdefault(answer.made_of.uri, []).append(answer)
        elif answer.error or not answer.rest(""):
            self.drop(answer)

    def changed(self, uri: str) -> None:
        """Drop the empty answers of a changed document, so that they are requested again."""
        for answer in self._empty.pop(uri, ()):
            self.drop(answer)

    def drop(self, answer: Answer) -> None:
        """Remove an answer if it is in the cache."""
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
        """Remove all answers, for example when the provider changes."""
        self._filed.clear()
        self._used.clear()
        self._empty.clear()

    def find(self, request: CompletionRequest, serves: Callable[[Hit], bool] = lambda hit: True) -> Hit | None:
        """The first answer that `serves` accepts: one with text to show, else one that grows, else an empty one."""
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
        """Answers that are valid and agree with the document, the nearest and newest first."""
        drawers = self._filed.get(request.uri)
        if not drawers:
            return
        for start in line_starts(request.prefix):
            for answer in reversed(drawers.get(request.prefix[max(0, start - NEAR) : start], ())):
                typed = _typed_since(answer, request, start)
                if typed is not None:
                    yield Hit(answer, typed)


def follows(answer: Answer, request: CompletionRequest) -> bool:
    """Whether the text of the document since the answer's request agrees with the answer."""
    return any(_typed_since(answer, request, start) is not None for start in line_starts(request.prefix))


def _typed_since(answer: Answer, request: CompletionRequest, start: int) -> str | None:
    """The text typed since an answer was requested on the line at `start`; None if it was requested elsewhere, is invalid or disagrees."""
    line_before = answer.place.line_before
    if not request.prefix.startswith(line_before, start):
        return None
    typed = request.prefix[start + len(line_before) :]
    # compare the typed text first: most answers above a cursor differ in it, and `holds` is slower
    return typed if answer.agrees(typed) and holds(answer.made_of, request, typed) else None


def _near(above: str) -> str:
    return above[-NEAR:]


def _same_question(first: Answer, second: Answer) -> bool:
    """Whether both were requested at the same place; then the newer one is enough."""
    return (first.place.line_before, first.made_of.prefix, first.made_of.suffix) == (
        second.place.line_before,
        second.made_of.prefix,
        second.made_of.suffix,
    )
