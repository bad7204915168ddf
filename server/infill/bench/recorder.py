"""What happened while a trace was played, moment by moment: the only thing that the figures are computed from. Nothing is judged here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import msgspec

What = Literal["key", "jump", "accepted", "undone", "asked", "cancelled", "shown", "nothing", "failed", "cost"]


class Moment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of them."""

    at: float
    """Seconds since the start."""
    what: What
    text: str = ""
    """What was typed, shown or accepted; with `cost`: why there was nothing."""
    worth: int = 0
    """Characters at the start of what was shown or accepted that the author really typed next."""
    source: str = ""
    """Who had the answer: `model`, `cache`, ..."""
    evaluated: int = 0
    kept: int = 0
    generated: int = 0
    drafted: int = 0
    agreed: int = 0
    """Tokens: of the prompt evaluated and kept, generated, drafted by lookup and agreed with."""
    evaluate_ms: float = 0.0
    generate_ms: float = 0.0


class Recorder:
    """Collects moments; `upcoming` says what the author types next."""

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
        """Ghost text appeared."""
        self.note("shown", text, worth=agreement(text, self.upcoming()), source=source)


def agreement(text: str, upcoming: str) -> int:
    """Characters at the start that are the same."""
    count = 0
    for one, other in zip(text, upcoming, strict=False):
        if one != other:
            break
        count += 1
    return count
