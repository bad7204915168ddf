"""How long to wait after a key before sending a request. Pure: numbers in, milliseconds out.

    key   key   key          key
     |-----|-----|------------|-----> time
           `- interval -'

If the answer is expected before the next key, the request is sent at once. Otherwise it is sent when the burst of keys seems to be over. The wait is
at most half of the time left to the latency target, or an eighth of the latency if that is longer.
"""

from __future__ import annotations

import statistics
from collections import deque

INSTANT_MS = 30.0
"""Answers faster than this need no wait."""
UNKNOWN_MS = 60.0
"""Wait while neither typing rhythm nor latency is known."""
PAUSE_MS = 1000.0
"""Longer gaps between keys are pauses and do not count for the rhythm."""
LONGEST_MS = 300.0
REMEMBERED = 32
"""Number of keys, about the last ten seconds of typing."""
TYPICAL_INTERVAL_MS = 180.0
"""Typical for people who type code; used until this user's rhythm is known."""
OVER = 1.25
"""Multiple of the typical interval after which a pause is more likely than another key."""
REMOTE_OVER = 1.6
"""The same for remote providers, where each request costs time on a server."""


class Rhythm:
    """The intervals between one user's keys."""

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=REMEMBERED)
        self._last: float | None = None

    def key(self, now: float) -> None:
        """Record a key pressed at `now` seconds."""
        if self._last is not None and 0 < (gap := (now - self._last) * 1000) < PAUSE_MS:
            self._intervals.append(gap)
        self._last = now

    def interval_ms(self) -> float:
        """Median time between two keys of a burst."""
        return statistics.median(self._intervals) if len(self._intervals) >= 4 else TYPICAL_INTERVAL_MS

    def over_ms(self) -> float:
        """Time without a key after which a burst is probably over."""
        return self.interval_ms() * OVER

    def since_key_ms(self, now: float) -> float:
        return (now - self._last) * 1000 if self._last is not None else 0.0


def wait_ms(*, interval: float, latency: float, target: float, remote: bool = False, since_key: float = 0.0) -> float:
    """Milliseconds to wait before sending a request.

    `latency`: typical time of an answer (0: unknown). `target`: the latency target. `since_key`: time since the last key.
    """
    if remote:
        wait = interval * REMOTE_OVER
    elif latency == 0:
        wait = UNKNOWN_MS
    elif latency < max(INSTANT_MS, interval * 0.8):
        wait = 0.0
    else:
        wait = min(interval * OVER, max((target - latency) / 2, latency / 8))
    if 0 < latency < INSTANT_MS and not remote:
        return 0.0
    return max(0.0, min(wait, LONGEST_MS) - since_key)
