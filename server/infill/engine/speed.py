"""What this machine was measured to do with this model, and the window of code that follows from it. Pure: seconds are handed in."""

from __future__ import annotations

import statistics
from collections import deque

from infill.engine.kv import Costs

TARGET_MS = 400.0
"""Default of `latency.target`."""
WINDOW_TARGETS = 5
"""A document that was never seen may take this many times the target to evaluate: with the default target two seconds, in which it is being read.
That is done in the background."""
FIRST_BATCH = 32
"""Tokens that are evaluated right after loading, for a first guess: a window that turns out too large costs seconds, one too small a new start."""
FIRST_SHARE = 0.85
"""So fast is a batch of that size, for each token, by the side of large ones."""
SLOW_TOKEN = 0.1
"""Seconds; where one token takes so long, the window is the smallest one in any case."""
SMALLEST_WINDOW = 256
ENOUGH = 6
"""Batches to have seen before the window follows from them."""
PATIENCE = 0.1
"""Share of the target that is rather spent on evaluating than saved by moving what is then only nearly right."""
STEP, RESTLESS_STEP = 1.1, 0.1
"""Seconds of one step of evaluating a prompt, and of one while somebody types: a step that is given up is lost whole."""
SMALLEST_STEP, SMALLEST_RESTLESS_STEP = 64, 16
"""Tokens; on two threads of a CPU 64 at once are evaluated 11 % more slowly than 512, 128 5 %, 256 as fast, and 16 take a third more time
(llama-bench, Qwen2.5-Coder 0.5B shape)."""
SOON = 0.5
"""Seconds of work in an idle moment that are not worth waiting for a better one."""
USUAL_CHARACTERS, WAVER = 3.2, 1.25
"""Characters of a token as `providers.base.Limits` has them, and by what factor they may be wrong without a word."""
MEMORY = 2000
"""Tokens after which an old measurement weighs less than half."""


class Speed:
    """Running measurements of one model."""

    def __init__(self) -> None:
        self.evaluate = 0.0
        """Prompt tokens a second, in batches of some size; 0 while unknown."""
        self.generate = 0.0
        """Tokens a second, one after another; 0 while unknown."""
        self.shift = 0.0
        """Seconds that applying shifts takes; 0 while unknown."""
        self.chars_per_token = 0.0
        """Told in large steps: whoever cuts a text by it would cut it elsewhere at every change."""
        self._read = 0.0
        self._seen: dict[str, float] = {}
        self._lines: deque[float] = deque(maxlen=15)
        self._rates: deque[float] = deque(maxlen=24)
        self._window = 0
        self._guess = 0.0
        """Prompt tokens a second as seen right after loading."""

    def began(self, tokens: int, seconds: float) -> None:
        """The first batch after loading; with a single token, which says nothing about batches: this machine is slow."""
        self._guess = tokens / seconds / FIRST_SHARE if tokens > 1 else 0.0

    def evaluated(self, tokens: int, seconds: float) -> None:
        """A batch of prompt tokens; small ones say nothing about large ones."""
        if tokens >= SMALLEST_RESTLESS_STEP and seconds > 0:
            self._rates.append(tokens / seconds)
            self.evaluate = self._blend("evaluate", self.evaluate, tokens / seconds, tokens)

    def generated(self, tokens: int, seconds: float) -> None:
        """Tokens that were evaluated one after another."""
        if tokens and seconds > 0:
            self.generate = self._blend("generate", self.generate, tokens / seconds, tokens * 8)

    def shifted(self, tokens: int, seconds: float) -> None:
        """A small batch that applied shifts on its way."""
        if self.generate:
            self.shift = self._blend("shift", self.shift, max(0.0, seconds - tokens / self.generate), 100)

    def read(self, characters: int, tokens: int) -> None:
        """Text was turned into tokens."""
        if tokens >= 100:
            self._read = self._blend("read", self._read, characters / tokens, tokens)
            if not 1 / WAVER < self._read / (self.chars_per_token or USUAL_CHARACTERS) < WAVER:
                self.chars_per_token = self._read

    def answered(self, milliseconds: float) -> None:
        """A request had its first complete line."""
        self._lines.append(milliseconds)

    @property
    def typical_ms(self) -> float:
        """Running median from request to first complete line; 0 while unknown."""
        return statistics.median(self._lines) if self._lines else 0.0

    def costs(self, target_ms: float) -> Costs:
        """What plans for the cache cost here."""
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
        """Tokens that are evaluated before anybody would notice."""
        return int(self.evaluate * SOON)

    def window(self, room: int, target_ms: float) -> int:
        """Tokens of a prompt: as many as can be evaluated in WINDOW_TARGETS times the target, in steps that are rarely taken."""
        # what the machine does when it is left alone: a compiler that runs for a minute must not move every window twice
        able = statistics.quantiles(self._rates, n=4)[2] if len(self._rates) >= ENOUGH else self._guess
        wanted = max(SMALLEST_WINDOW, min(int(able * target_ms / 1000 * WINDOW_TARGETS), room))
        if not self._window or not 0.6 < wanted / self._window < 1.6:
            self._window = wanted
        return min(self._window, room)

    def _blend(self, name: str, old: float, new: float, weight: float) -> float:
        seen = self._seen.get(name, 0.0)
        self._seen[name] = min(seen + weight, MEMORY)
        return new if not seen else (old * seen + new * weight) / (seen + weight)
