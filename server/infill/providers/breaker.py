"""Whether a provider is worth asking: after some failures in a row it is left alone for a while, then tried once. Pure but for the clock it is given.

closed --failures--> open --time--> half-open --success--> closed
                      ^                 |
                      +----failure------+   (for twice as long)
"""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 3
"""In a row, until it opens: one lost connection is no dead server."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 120.0
"""Seconds that it stays open, doubled with each probe that fails."""
REFUSED_PAUSE = 60.0
"""Seconds after a refusal that will not heal by itself: a wrong key, an unknown model."""


class Breaker:
    """Guards one provider."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, failures: int = FAILURES) -> None:
        self._clock = clock
        self._most = failures
        self._failed = 0
        self._pause = FIRST_PAUSE
        self._until = 0.0
        self._probing = False
        self._told = False
        """It is open because the provider itself said so."""
        self.reason = ""
        """Why it is open, as the last failure said it."""

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        if self._until == 0.0:
            return "closed"
        return "open" if self._clock() < self._until else "half-open"

    def allows(self, *, explicit: bool = False) -> bool:
        """Whether a request may be made now. One that a person waits for is, unless the provider itself refused."""
        if explicit and not self._told:
            return True
        return self._until == 0.0 or (self._clock() >= self._until and not self._probing)

    def begin(self) -> None:
        """A request starts: half-open, it is the only one."""
        self._probing = self._until != 0.0

    def success(self) -> None:
        """It answered."""
        self._failed, self._pause, self._until, self._probing, self.reason = 0, FIRST_PAUSE, 0.0, False, ""
        self._told = False

    def failure(self, reason: str) -> None:
        """It did not."""
        self._failed += 1
        self.reason, self._told = reason, False
        if self._probing:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        if self._probing or self._failed >= self._most:
            self._until = self._clock() + self._pause
        self._probing = False

    def leave_alone(self, seconds: float, reason: str) -> None:
        """It said no: it need not be asked again for so long."""
        self._until, self._probing, self.reason, self._told = self._clock() + seconds, False, reason, True

    def abandoned(self) -> None:
        """The request was given up by us: nothing is known of the provider."""
        self._probing = False

    def left(self) -> float:
        """Seconds that it still stays open."""
        return max(0.0, self._until - self._clock())
