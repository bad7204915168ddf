"""Guesses at what comes next, looked up in the document itself (source code repeats itself), and whether guessing pays. Pure: no llama.cpp here.

A draft of some tokens is evaluated together with the token before it; those that the model would have chosen anyway are kept. That is worth it where
a batch of four costs less than the tokens it yields, as on a GPU or with fast cores and slow memory, and a loss where it does not. So both are
measured, and trying costs at most a hundredth of the time spent.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

LENGTHS = (3, 7)
"""Tokens of a draft. Few sizes, so that each is measured soon."""
KEY = 3
"""Tokens in a row that must agree with an earlier place."""
BUDGET = 0.01
"""Share of the generation time that trying may cost."""
PAYS = 1.05
"""Tokens per time, against one after another, from which drafting is on."""
AGAIN = 400
"""Tokens after which a length that did not pay is tried again."""
REST = 8
"""Tokens that go by before it is asked again whether drafting would pay: that takes microseconds, at every token of a small model too many."""


class Lookup:
    """Where each run of KEY tokens was last seen."""

    def __init__(self, tokens: Sequence[int], forbidden: Collection[int]) -> None:
        self._tokens = list(tokens)
        self._forbidden = forbidden
        """Tokens that no answer has: those that divide the prompt."""
        self._places = {tuple(self._tokens[i - KEY : i]): i for i in range(KEY, len(self._tokens))}

    def add(self, token: int) -> None:
        """One more token of the answer."""
        if len(self._tokens) >= KEY:
            self._places[tuple(self._tokens[-KEY:])] = len(self._tokens)
        self._tokens.append(token)

    def guess(self, length: int) -> list[int]:
        """What followed the last tokens when they were seen before; empty where they never were."""
        place = self._places.get(tuple(self._tokens[-KEY:]))
        if place is None:
            return []
        draft = self._tokens[place : place + length]
        cut = next((i for i, token in enumerate(draft) if token in self._forbidden), len(draft))
        return draft[:cut]


class Trial:
    """What is known of drafts of one length."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.cost = float(length + 1)
        """Time of such a batch, in tokens one after another; as dear as can be until it was measured."""
        self.yielded = 0.0
        """Tokens that such a batch yields."""
        self.tries = 0
        self.last = 0
        """Number of the token at which it was last tried."""

    @property
    def ratio(self) -> float:
        return self.yielded / self.cost


class Policy:
    """Whether to draft, and how much: by what it was measured to bring, for one model on this machine."""

    def __init__(self) -> None:
        self._trials = [Trial(length) for length in LENGTHS]
        self._single = 0.0
        """Seconds of one token; a running mean."""
        self._total = 0.0
        self._lost = 0.0
        self._tokens = 0
        self._resting_until = 0
        self.drafted = self.accepted = 0

    @property
    def overhead(self) -> float:
        """Share of all generation time that drafting has cost (below 0: saved)."""
        return self._lost / self._total if self._total else 0.0

    def length(self) -> int:
        """How long a draft is worth making now; 0: none."""
        if self._tokens < self._resting_until:
            return 0
        best = max(self._trials, key=lambda trial: trial.ratio if trial.tries >= 3 else 0.0)
        if best.tries >= 3 and best.ratio >= PAYS and self._affordable(best):
            return best.length
        due = next((trial for trial in self._trials if trial.tries < 3 or self._tokens - trial.last > AGAIN), None)
        if due is not None and self._affordable(due):
            return due.length
        self._resting_until = self._tokens + REST
        return 0

    def looked(self, seconds: float) -> None:
        """So long was spent on looking a draft up, found or not."""
        self._total += seconds
        self._lost += seconds

    def plain(self, seconds: float) -> None:
        """One token was evaluated by itself."""
        self._single = self._single * 0.95 + seconds * 0.05 if self._single else seconds
        self._total += seconds
        self._tokens += 1

    def tried(self, length: int, drafted: int, accepted: int, seconds: float) -> None:
        """A draft was evaluated, and so many of its tokens were right."""
        trial = next(trial for trial in self._trials if trial.length == length)
        weight = 1.0 if not trial.tries else 0.1
        if drafted == length:
            trial.cost += (seconds / self._single - trial.cost) * weight
        trial.yielded += (1 + accepted - trial.yielded) * weight
        trial.tries += 1
        self._total += seconds
        self._tokens += 1 + accepted
        trial.last = self._tokens
        self._lost += seconds - self._single * (1 + accepted)
        self.drafted += drafted
        self.accepted += accepted

    def _affordable(self, trial: Trial) -> bool:
        """Even if every token of the next draft were wrong."""
        return self._single > 0 and self._lost + (trial.cost - 1) * self._single <= BUDGET * self._total
