"""Records the events of a played trace with their times, without evaluating them. All figures are computed from this record."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import msgspec

What = Literal["key", "jump", "accepted", "undone", "asked", "cancelled", "shown", "nothing", "failed", "cost"]


class Moment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recorded event."""

    at: float
    """Seconds since the start."""
    what: What
    text: str = ""
    """The typed, shown or accepted text; with `cost`: why there was none."""
    worth: int = 0
    """Characters at the start of the shown or accepted text that the author then typed."""
    source: str = ""
    """The source of the answer: `model`, `cache`, ..."""
    evaluated: int = 0
    kept: int = 0
    generated: int = 0
    drafted: int = 0
    agreed: int = 0
    """The last of five token counts: evaluated and cached prompt tokens, generated tokens, drafted tokens, and accepted drafts."""
    evaluate_ms: float = 0.0
    generate_ms: float = 0.0


class Recorder:
    """Collects moments; `upcoming` returns the text that the author types next."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._start = clock()
        self.moments: list[Moment] = []
        self.upcoming: Callable[[], str] = str

    def now(self) -> float:
        return self._clock() - self._start

    def note(self, what: What, text: str = "", **more: object) -> None:
        fields: dict[str, object] = {"at": self.now(), "what": what, "text": text, **more}
        self.moments.append(msgspec.convert(fields, Moment))

    def shown(self, text: str, source: str = "") -> None:
        """Record that ghost text appeared."""
        self.note("shown", text, worth=agreement(text, self.upcoming()), source=source)


def agreement(text: str, upcoming: str) -> int:
    """Length of the common prefix."""
    count = 0
    for one, other in zip(text, upcoming, strict=False):
        if one != other:
            break
        count += 1
    return count
