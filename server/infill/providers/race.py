"""One request to the members of a chain: one after the other, or in parallel if the first is late, until one has a complete line.

All tasks started by this module have ended when `stop` returns. Errors are passed to `on_trouble`; the chain decides about them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

from infill.ask import Event
from infill.errors import InfillError, ProviderUnavailable
from infill.providers.attempt import Attempt
from infill.providers.base import Provider
from infill.providers.breaker import Breaker
from infill.providers.trouble import too_slow

SHARE = 0.5
"""Share of the remaining time until the first line, for every member except the last."""
LOOK_AGAIN = 0.05
"""Seconds between two checks whether a running member is loading its model."""
Ask = Callable[[Provider, float], AsyncIterator[Event]]
"""Starts a request to a provider, with this many seconds left."""


class Member:
    """One provider in a chain."""

    def __init__(self, provider: Provider, timeout_ms: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self.provider = provider
        self.timeout_ms = timeout_ms
        """Timeout for its first line while other members are waiting; 0: its share of the remaining time."""
        self.breaker = Breaker(clock)

    @property
    def name(self) -> str:
        return self.provider.name

    def absence(self, *, explicit: bool = False) -> str:
        """Why it must not be used now; empty if it can be. Only compares times."""
        if not self.breaker.allows(explicit=explicit):
            return f"left alone for {self.breaker.left():.0f} s: {self.breaker.reason}"
        return "" if self.provider.limits.ready else "still loading"


class Walk:
    """The state of one request in the chain."""

    def __init__(self, clock: Callable[[], float], deadline_ms: int, *, explicit: bool = False) -> None:
        self._clock = clock
        self._end = clock() + deadline_ms / 1000
        self.explicit = explicit
        """The user waits for this answer (a generation): `timeoutMs` and hedging, which are for completions, do not apply."""
        self.notes: list[str] = []
        self.troubles: list[InfillError] = []

    def left(self) -> float:
        """Seconds until the deadline."""
        return self._end - self._clock()

    @property
    def slow(self) -> bool:
        """Whether a provider was reached but did not answer in time."""
        return any(getattr(trouble, "slow", False) for trouble in self.troubles)

    def outcome(self) -> InfillError:
        """The error to raise if no provider answered. Refusals come before timeouts, because they name a remedy."""
        told = [trouble for trouble in self.troubles if not isinstance(trouble, ProviderUnavailable)]
        if len(self.troubles) == 1:
            return self.troubles[0]
        if told and not (self.explicit and self.slow):
            return told[0]
        return ProviderUnavailable(f"No provider answered: {'; '.join(self.notes) or 'there is no provider'}.")


OnTrouble = Callable[[Member, InfillError, float], None]
"""Called with a failed member, its error, and the milliseconds since its start."""


class Race:
    """A race between members: one after the other, or in parallel if the first is late."""

    def __init__(
        self,
        ask: Ask,
        members: Sequence[Member],
        walk: Walk,
        *,
        hedge: float,
        on_trouble: OnTrouble,
        clock: Callable[[], float],
    ) -> None:
        self._ask = ask
        self._hedge = hedge
        """Seconds until the next member is tried in parallel; 0: never."""
        self._on_trouble = on_trouble
        self._clock = clock
        self._waiting = list(members)
        self._walk = walk
        self._running: dict[Attempt, tuple[Member, float]] = {}
        """The running attempts: the member, and the time (the chain's clock) until which to wait."""

    async def won(self) -> tuple[Member, Attempt]:
        """The first member with a complete line. Raises the error of `Walk.outcome` if none has one."""
        while True:
            if not self._running and not self._begin_next():
                raise self._walk.outcome()
            hedged = self._when_to_hedge()
            settled = await self._first_settled(min(hedged, *(until for _, until in self._running.values())))
            for attempt in settled:
                member, _ = self._running[attempt]
                if attempt.trouble is None:
                    return member, attempt
                await self._lost(attempt, attempt.trouble)
            if not settled and (self._clock() >= hedged or self._is_loading()) and self._begin_next():
                continue
            for attempt in [late for late, (_, until) in self._running.items() if self._clock() >= until]:
                await self._lost(attempt, too_slow(attempt.name, attempt.milliseconds / 1000))

    def _when_to_hedge(self) -> float:
        if not self._waiting or not self._hedge or len(self._running) > 1:
            return float("inf")
        return max(self._clock(), min(attempt.began for attempt in self._running) + self._hedge)

    def _is_loading(self) -> bool:
        """Whether all running members are loading, so that another one may be faster."""
        return all(not member.provider.limits.ready for member, _ in self._running.values())

    def _begin_next(self) -> bool:
        """Start the next usable member; False if there is none, or no time is left."""
        walk = self._walk
        while self._waiting and walk.left() > 0:
            member = self._waiting.pop(0)
            if absence := member.absence(explicit=walk.explicit):
                walk.notes.append(f"{member.name}: {absence}")
                continue
            member.breaker.begin()
            left = walk.left()
            own = 0.0 if walk.explicit else member.timeout_ms / 1000
            patience = min(left * SHARE, own or left) if self._waiting else left
            attempt = Attempt(member.name, self._ask(member.provider, left), self._clock, eager=not self._waiting)
            self._running[attempt] = (member, self._clock() + patience)
            return True
        return False

    async def _first_settled(self, until: float) -> list[Attempt]:
        if self._waiting and self._is_loading():
            return []
        waits = [asyncio.ensure_future(attempt.settled.wait()) for attempt in self._running]
        now = self._clock()
        if self._waiting:  # a running member may start to load its model, which sends no event
            until = min(until, now + LOOK_AGAIN)
        try:
            await asyncio.wait(waits, timeout=max(0.0, until - now), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return [attempt for attempt in self._running if attempt.settled.is_set()]

    async def _lost(self, attempt: Attempt, trouble: InfillError) -> None:
        member, _ = self._running.pop(attempt)
        self._on_trouble(member, trouble, attempt.milliseconds)
        await attempt.aclose()

    async def stop(self, winner: Attempt | None) -> None:
        """Stop all attempts except the winner; all of them without a winner."""
        for attempt in [other for other in self._running if other is not winner]:
            member, _ = self._running.pop(attempt)
            if not attempt.settled.is_set():
                member.breaker.abandoned()
                if winner is not None:
                    self._walk.notes.append(f"{member.name}: slower ({attempt.milliseconds:.1f} ms)")
            await attempt.aclose()
