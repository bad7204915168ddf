"""How long to wait after a key before asking. Pure: numbers in, milliseconds out.

    key   key   key          key
     |-----|-----|------------|-----> time
           `- interval -'

An answer that comes before the next key is expected is asked for at once: so is any answer from a fast model. A slow one is asked for when the burst
of keys seems over, but waiting never takes more than a share of the time in which the answer should be there.
"""

from __future__ import annotations

import statistics
from collections import deque

INSTANT_MS = 30.0
"""Answers faster than this need no waiting."""
UNKNOWN_MS = 60.0
"""Wait while neither rhythm nor latency is known."""
PAUSE_MS = 1000.0
"""Longer gaps between keys are thinking, not rhythm."""
LONGEST_MS = 300.0
REMEMBERED = 32
"""Keys: the rhythm of the last ten seconds or so."""
TYPICAL_INTERVAL_MS = 180.0
"""Of people who type code, while nothing is known of this one."""
OVER = 1.25
"""Times the typical interval without a key: more likely a pause than not."""
REMOTE_OVER = 1.6
"""The same where each question costs somebody's server."""


class Rhythm:
    """One person's typing."""

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=REMEMBERED)
        self._last: float | None = None

    def key(self, now: float) -> None:
        """A key was pressed at `now` seconds."""
        if self._last is not None and 0 < (gap := (now - self._last) * 1000) < PAUSE_MS:
            self._intervals.append(gap)
        self._last = now

    def interval_ms(self) -> float:
        """Typical time between two keys of a burst."""
        return statistics.median(self._intervals) if len(self._intervals) >= 4 else TYPICAL_INTERVAL_MS

    def over_ms(self) -> float:
        """Time without a key after which a burst is probably over."""
        return self.interval_ms() * OVER

    def since_key_ms(self, now: float) -> float:
        return (now - self._last) * 1000 if self._last is not None else 0.0


def wait_ms(*, interval: float, latency: float, target: float, remote: bool = False, since_key: float = 0.0) -> float:
    """Milliseconds to wait before asking. `latency`: what answers take (0: unknown); `target`: what they should take; `since_key`: passed already."""
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
