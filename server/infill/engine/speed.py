"""Measured speed of a model on this machine, and the prompt window that follows from it. Pure: durations are passed in."""

from __future__ import annotations

import statistics
from collections import deque

from infill.engine.kv import Costs

TARGET_MS = 400.0
"""Default of `latency.target`."""
WINDOW_TARGETS = 5
"""Multiple of the target that evaluating a new document may take: with the default target 2 s, while the user reads it. This happens in the
background."""
FIRST_BATCH = 32
"""Tokens evaluated right after loading, for a first estimate. Too large a window costs seconds; too small a window, a full evaluation later."""
FIRST_SHARE = 0.85
"""Speed per token of a batch of that size, relative to large ones."""
SLOW_TOKEN = 0.1
"""Seconds per token from which the window is the smallest one in any case."""
SMALLEST_WINDOW = 256
ENOUGH = 6
"""Number of batches before the window depends on them."""
PATIENCE = 0.1
"""Share of the target to spend on exact evaluation rather than keep approximate moved tokens."""
STEP, RESTLESS_STEP = 1.1, 0.1
"""Seconds of one step of prompt evaluation, and of one while the user types: an aborted step is lost completely."""
SMALLEST_STEP, SMALLEST_RESTLESS_STEP = 64, 16
"""Tokens. On two CPU threads, batches of 64 are 11 % slower per token than batches of 512, and 128 are 5 % slower. 256 are equally fast, and 16 take
a third more time (llama-bench, Qwen2.5-Coder 0.5B shape)."""
SOON = 0.5
"""Seconds of idle work that are short enough for any pause."""
USUAL_CHARACTERS, WAVER = 3.2, 1.25
"""Default characters per token of `providers.base.Limits`, and the factor of change that is reported."""
MEMORY = 2000
"""Number of tokens after which an old measurement weighs less than half."""


class Speed:
    """Running measurements of one model."""

    def __init__(self) -> None:
        self.evaluate = 0.0
        """Prompt tokens per second, in batches of all sizes; 0 if unknown."""
        self.generate = 0.0
        """Tokens per second when decoding; 0 if unknown."""
        self.shift = 0.0
        """Seconds for applying shifts; 0 if unknown."""
        self.chars_per_token = 0.0
        """Changes in large steps only: each change moves the position where clients cut their texts."""
        self._read = 0.0
        self._seen: dict[str, float] = {}
        self._lines: deque[float] = deque(maxlen=15)
        self._rates: deque[float] = deque(maxlen=24)
        self._window = 0
        self._guess = 0.0
        """Prompt tokens per second, measured right after loading."""

    def began(self, tokens: int, seconds: float) -> None:
        """Record the first batch after loading. A single token means that this machine is slow, and gives no speed for batches."""
        self._guess = tokens / seconds / FIRST_SHARE if tokens > 1 else 0.0

    def evaluated(self, tokens: int, seconds: float) -> None:
        """Record a batch of prompt tokens; the speed of small ones does not predict that of large ones."""
        if tokens >= SMALLEST_RESTLESS_STEP and seconds > 0:
            self._rates.append(tokens / seconds)
            self.evaluate = self._blend("evaluate", self.evaluate, tokens / seconds, tokens)

    def generated(self, tokens: int, seconds: float) -> None:
        """Record tokens that were evaluated one after another."""
        if tokens and seconds > 0:
            self.generate = self._blend("generate", self.generate, tokens / seconds, tokens * 8)

    def shifted(self, tokens: int, seconds: float) -> None:
        """Record a small batch that also applied shifts."""
        if self.generate:
            self.shift = self._blend("shift", self.shift, max(0.0, seconds - tokens / self.generate), 100)

    def read(self, characters: int, tokens: int) -> None:
        """Record the numbers of characters and tokens of a tokenized text."""
        if tokens >= 100:
            self._read = self._blend("read", self._read, characters / tokens, tokens)
            if not 1 / WAVER < self._read / (self.chars_per_token or USUAL_CHARACTERS) < WAVER:
                self.chars_per_token = self._read

    def answered(self, milliseconds: float) -> None:
        """Record the time to a request's first complete line."""
        self._lines.append(milliseconds)

    @property
    def typical_ms(self) -> float:
        """Running median from request to first complete line; 0 if unknown."""
        return statistics.median(self._lines) if self._lines else 0.0

    def costs(self, target_ms: float) -> Costs:
        """Costs for cache plans, on this machine."""
        if not (self.evaluate and self.generate):
            return Costs()
        call = max(0.0, self.evaluate / self.generate - 1)
        shift = self.shift * self.evaluate if self.shift else Costs().shift
        return Costs(call=call, shift=shift, inexact=self.evaluate * target_ms / 1000 * PATIENCE)

    def chunk(self, largest: int, *, restless: bool) -> int:
        """Prompt tokens to evaluate in one step."""
        least, seconds = (SMALLEST_RESTLESS_STEP, RESTLESS_STEP) if restless else (SMALLEST_STEP, STEP)
        wanted = max(least, int((self.evaluate or self._guess) * seconds))
        return min(largest, wanted // least * least)

    @property
    def soon(self) -> int:
        """Number of tokens that are evaluated without a noticeable delay."""
        return int(self.evaluate * SOON)

    def window(self, room: int, target_ms: float) -> int:
        """Tokens of a prompt that can be evaluated in WINDOW_TARGETS times the target. Changes rarely, in large steps."""
        # the upper quartile is the speed without other load: a compiler that runs for a minute must not move every window twice
        able = statistics.quantiles(self._rates, n=4)[2] if len(self._rates) >= ENOUGH else self._guess
        wanted = max(SMALLEST_WINDOW, min(int(able * target_ms / 1000 * WINDOW_TARGETS), room))
        if not self._window or not 0.6 < wanted / self._window < 1.6:
            self._window = wanted
        return min(self._window, room)

    def _blend(self, name: str, old: float, new: float, weight: float) -> float:
        seen = self._seen.get(name, 0.0)
        self._seen[name] = min(seen + weight, MEMORY)
        return new if not seen else (old * seen + new * weight) / (seen + weight)
