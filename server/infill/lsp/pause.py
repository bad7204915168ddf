"""Pauses automatic suggestions: `completion.automatic` is off, or `pauseOnBattery` is on and this machine runs on battery."""

from __future__ import annotations

import time
from collections.abc import Callable

from infill.settings import Completion

LOOK_SECONDS = 30.0
"""How long the battery state is cached."""
MANUAL = "infill.completion.automatic is off: suggestions come only by request"
BATTERY = "this machine runs on battery: suggestions come only by request (infill.completion.pauseOnBattery)"


def on_battery() -> bool:
    """Whether this machine runs on battery; False if it has none or the system does not report it."""
    import psutil

    look = getattr(psutil, "sensors_battery", None)  # the name is missing on some systems
    try:
        found = look() if look is not None else None
    except Exception:  # drivers fail in many ways, which must not fail a completion
        return False
    return found is not None and found.power_plugged is False


class Pause:
    """Whether automatic suggestions are paused, and why."""

    def __init__(self, look: Callable[[], bool] = on_battery, clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._known = False
        self._until = float("-inf")

    def reason(self, settings: Completion) -> str:
        """Why automatic suggestions are paused, as a sentence part; empty: they are not."""
        if not settings.automatic:
            return MANUAL
        return BATTERY if settings.pause_on_battery and self._on_battery() else ""

    def _on_battery(self) -> bool:
        if self._clock() >= self._until:
            self._known = self._look()
            self._until = self._clock() + LOOK_SECONDS
        return self._known
