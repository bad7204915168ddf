"""Answers already had, found by what stands around the cursor. No I/O, no clock; a look costs microseconds and asks no model.

An answer is filed under the text above the line that it was asked on. A look walks up from the cursor's line: whoever typed what an answer says, over
however many lines, meets it again with the rest. Text far away is no part of the key, so scrolling and edits elsewhere leave everything valid.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from infill.completion.answer import Answer
from infill.completion.place import BELOW, earlier, same_below
from infill.completion.types import CompletionRequest

CAPACITY = 500
"""Answers; the least recently used goes. A few kilobytes each."""


class Hit(msgspec.Struct, frozen=True):
    """An answer, and what has been typed since the place that it was asked for."""

    answer: Answer
    typed: str


class Cache:
    """Least recently used last to stay."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._filed: dict[str, list[Answer]] = {}
        self._used: OrderedDict[int, Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def store(self, answer: Answer) -> None:
        """File an answer, growing or complete; one asked at exactly the same place before gives way."""
        drawer = self._filed.setdefault(answer.place.above, [])
        for old in [old for old in drawer if _same_place(old, answer) and old.asked <= answer.asked]:
            self.drop(old)
        self._filed.setdefault(answer.place.above, drawer).append(answer)
        self._used[id(answer)] = answer
        while len(self._used) > self._capacity:
            self.drop(next(iter(self._used.values())))

    def drop(self, answer: Answer) -> None:
        """Forget one answer, if it is here."""
        if self._used.pop(id(answer), None) is None:
            return
        drawer = self._filed[answer.place.above]
        drawer.remove(answer)
        if not drawer:
            del self._filed[answer.place.above]

    def clear(self) -> None:
        """Forget everything: somebody else answers from now on."""
        self._filed.clear()
        self._used.clear()

    def find(self, request: CompletionRequest, *, candidates: int = 1) -> Hit | None:
        """The answer that serves here: one with something to show, else one that grows, else one that says there is nothing."""
        growing = nothing = None
        for hit in self._around(request):
            if hit.answer.asked < candidates:
                continue
            if not hit.answer.complete:
                if hit.answer.ready(hit.typed):
                    return self._touch(hit)
                growing = growing or (hit if hit.answer.uri == request.uri else None)
            elif any(suggestion.text.strip() for suggestion in hit.answer.rest(hit.typed)):
                return self._touch(hit)
            elif not hit.typed and hit.answer.says_nothing():
                nothing = nothing or hit
        found = growing or nothing
        return self._touch(found) if found else None

    def _touch(self, hit: Hit) -> Hit:
        self._used.move_to_end(id(hit.answer))
        return hit

    def _around(self, request: CompletionRequest) -> list[Hit]:
        """Answers that agree with the document, the nearest and newest first."""
        below = request.suffix[:BELOW]
        hits = []
        for above, line in earlier(request.prefix):
            for answer in reversed(self._filed.get(above, ())):
                place = answer.place
                if line.startswith(place.line_before):
                    typed = line[len(place.line_before) :]
                    if answer.agrees(typed) and same_below(place.below, below, typed):
                        hits.append(Hit(answer, typed))
        return hits


def follows(answer: Answer, request: CompletionRequest) -> bool:
    """Whether the document, as it is now, is on the way that the answer says."""
    for above, line in earlier(request.prefix):
        if above == answer.place.above and line.startswith(answer.place.line_before):
            typed = line[len(answer.place.line_before) :]
            return answer.agrees(typed) and same_below(answer.place.below, request.suffix[:BELOW], typed)
    return False


def _same_place(first: Answer, second: Answer) -> bool:
    return first.place.line_before == second.place.line_before and first.place.below == second.place.below
