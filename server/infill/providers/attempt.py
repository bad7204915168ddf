"""One request to one provider of a chain. Its answer is held back until it has a complete line, so that another provider can still replace it.

Owns one task, which has ended when `aclose` returns.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from infill.ask import Delta, Event, Report
from infill.errors import InfillError, ProviderUnavailable

MOST_HELD = 512
"""Maximum number of buffered events. When the buffer is full, reading from the network pauses."""


class Attempt:
    """A running request to one provider. `settled` is set once it has a complete line, has ended or has failed."""

    def __init__(self, name: str, events: AsyncIterator[Event], clock: Callable[[], float], *, eager: bool = False) -> None:
        self.name = name
        self.settled = asyncio.Event()
        self.trouble: InfillError | None = None
        """The error that occurred before the first complete line."""
        self._eager = eager
        """There is no other provider to fall back to, so the first piece settles it."""
        self._clock = clock
        self.began = clock()
        self._queue: asyncio.Queue[Event | InfillError | None] = asyncio.Queue(MOST_HELD)
        self._task = asyncio.ensure_future(self._run(events))

    @property
    def milliseconds(self) -> float:
        """Milliseconds since the start."""
        return (self._clock() - self.began) * 1000

    async def _run(self, events: AsyncIterator[Event]) -> None:
        try:
            async with contextlib.aclosing(closable(events)) as stream:
                async for event in stream:
                    await self._queue.put(event)
                    if self._eager or not isinstance(event, Delta) or "\n" in event.text or self._queue.full():
                        self.settled.set()
        except InfillError as exc:
            await self._fail(exc)
        except asyncio.CancelledError:
            raise
        except Exception as exc:
            # an exception in a provider must not reach the editor: it becomes a ProviderError, and the next provider is tried
            await self._fail(ProviderUnavailable(f"{self.name} failed ({type(exc).__name__})."))
        else:
            if not self.settled.is_set():
                await self._fail(ProviderUnavailable(f"{self.name} ended without an answer."))
            else:
                await self._queue.put(None)

    async def _fail(self, trouble: InfillError) -> None:
        if not self.settled.is_set():
            self.trouble = trouble
            self.settled.set()
        await self._queue.put(trouble)

    async def events(self) -> AsyncGenerator[Event, None]:
        """The answer from its beginning. Raises the error that ended it."""
        while not isinstance(event := await self._queue.get(), InfillError) and event is not None:
            yield event
            if isinstance(event, Report):
                return
        if isinstance(event, InfillError):
            raise event

    async def aclose(self) -> None:
        """Stop the provider, and wait until it has released all its resources."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([self._task])
        if self._task.done() and not self._task.cancelled():
            self._task.exception()


def closable(events: AsyncIterator[Event]) -> Any:
    """The iterator with an `aclose` method: async generators have one, other iterators get one that does nothing."""
    if hasattr(events, "aclose"):
        return events

    async def wrapped() -> AsyncGenerator[Event, None]:
        async for event in events:
            yield event

    return wrapped()
