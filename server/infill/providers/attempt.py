"""One provider asked on behalf of a chain: its answer is held back until it is good for a line, so that another one can still take over unnoticed.

Owns one task, which is gone when `aclose` returns.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from infill.ask import Delta, Event, Report
from infill.errors import InfillError, ProviderUnavailable

MOST_HELD = 512
"""Events that wait to be fetched: a reader that is slower than the network slows the network down."""


class Attempt:
    """A provider at work. `settled` is set once it has a line, an end, or trouble."""

    def __init__(self, name: str, events: AsyncIterator[Event], clock: Callable[[], float], *, eager: bool = False) -> None:
        self.name = name
        self.settled = asyncio.Event()
        self.trouble: InfillError | None = None
        """What went wrong before there was a line."""
        self._eager = eager
        """Nobody could take over: the first piece settles it."""
        self._clock = clock
        self.began = clock()
        self._queue: asyncio.Queue[Event | InfillError | None] = asyncio.Queue(MOST_HELD)
        self._task = asyncio.ensure_future(self._run(events))

    @property
    def milliseconds(self) -> float:
        """Since it was begun."""
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
            # a provider's fault must not be the editor's: it becomes an ordinary failure here, and the next one is asked
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
        """The answer from its beginning. Trouble that comes after the first line ends it: what is there stays."""
        while not isinstance(event := await self._queue.get(), InfillError) and event is not None:
            yield event
            if isinstance(event, Report):
                return
        if isinstance(event, InfillError):
            raise event

    async def aclose(self) -> None:
        """Stop the provider, and wait until it has let go of everything."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([self._task])
        if self._task.done() and not self._task.cancelled():
            self._task.exception()


def closable(events: AsyncIterator[Event]) -> Any:
    """Providers are async generators, which can be closed; one that is not gets a close that does nothing."""
    if hasattr(events, "aclose"):
        return events

    async def wrapped() -> AsyncGenerator[Event, None]:
        async for event in events:
            yield event

    return wrapped()
