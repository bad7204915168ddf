"""Circuit breaker: after several failures in a row a provider is skipped for a while, then tried once. Pure except for the injected clock.

closed --failures--> open --time--> half-open --success--> closed
                      ^                 |
                      +----failure------+   (for twice as long)
"""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 3
"""Failures in a row that open the breaker: a single lost connection does not mean that the server is down."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 120.0
"""Seconds that it stays open: the first time, and at most. Doubled with each failed probe."""
REFUSED_PAUSE = 60.0
"""Seconds after a refusal that a retry cannot fix: a wrong key, an unknown model."""


class Breaker:
    """The circuit breaker of one provider."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, failures: int = FAILURES) -> None:
        self._clock = clock
        self._most = failures
        self._failed = 0
        self._pause = FIRST_PAUSE
        self._until = 0.0
        self._probing = False
        self._told = False
        """Whether it is open because the provider refused a request."""
        self.reason = ""
        """Why it is open: the message of the last failure."""

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        if self._until == 0.0:
            return "closed"
        return "open" if self._clock() < self._until else "half-open"

    def allows(self, *, explicit: bool = False) -> bool:
        """Whether a request may be made now. Explicit requests are always allowed, unless the provider has refused."""
        if explicit and not self._told:
            return True
        return self._until == 0.0 or (self._clock() >= self._until and not self._probing)

    def begin(self) -> None:
        """Record the start of a request. In the state half-open no other request is allowed meanwhile."""
        self._probing = self._until != 0.0

    def success(self) -> None:
        """Record a successful request."""
        self._failed, self._pause, self._until, self._probing, self.reason = 0, FIRST_PAUSE, 0.0, False, ""
        self._told = False

    def failure(self, reason: str) -> None:
        """Record a failed request."""
        self._failed += 1
        self.reason, self._told = reason, False
        if self._probing:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        if self._probing or self._failed >= self._most:
            self._until = self._clock() + self._pause
        self._probing = False

    def leave_alone(self, seconds: float, reason: str) -> None:
        """Record a refusal: no request for this many seconds."""
        self._until, self._probing, self.reason, self._told = self._clock() + seconds, False, reason, True

    def abandoned(self) -> None:
        """Record a request without a result (cancelled or not sent): it says nothing about the provider's health."""
        self._probing = False

    def left(self) -> float:
        """Seconds until it is half-open."""
        return max(0.0, self._until - self._clock())
