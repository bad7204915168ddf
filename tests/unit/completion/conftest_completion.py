"""A clock that stands still until a test moves it, documents with a cursor mark, and completers that ask a script."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from infill.completion.pipeline import Completer
from infill.completion.types import CompletionRequest, Outcome
from infill.providers.fake import Fake
from infill.settings import Engine, Settings

CURSOR = "█"
Make = Callable[..., Completer]
QUIET = Settings(engine=Engine(prefetch=False, warm=False))


class Time:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = itertools.count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._number), future))
        await future

    async def pass_(self, seconds: float) -> None:
        """Let time go by, and everybody do what they do meanwhile."""
        await settle()
        end = self.now + seconds
        while self._sleepers and self._sleepers[0][0] <= end + 1e-9:
            due, _, future = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            if not future.done():
                future.set_result(None)
            await settle()
        self.now = end
        await settle()


async def settle() -> None:
    """Let every task run until it waits for something."""
    for _ in range(40):
        await asyncio.sleep(0)


def at(text: str, **more: Any) -> CompletionRequest:
    """A request where the mark is."""
    prefix, mark, suffix = text.partition(CURSOR)
    assert mark, "the text needs a cursor mark"
    return CompletionRequest(**{"uri": "file:///a.py", "path": "a.py", "language": "python", "prefix": prefix, "suffix": suffix, **more})


def texts(outcome: Outcome) -> list[str]:
    return [suggestion.text for suggestion in outcome.suggestions]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def completer(time: Time) -> AsyncIterator[Callable[..., Completer]]:
    made = []

    def make(provider: Fake, settings: Settings | None = None) -> Completer:
        made.append(Completer(provider, settings or Settings(), time, time.sleep))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()
