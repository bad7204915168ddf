"""Drafts for speculative decoding, and the decision whether drafting pays. Drafts are looked up in the document: source code repeats itself. Pure:
no llama.cpp.

A draft is evaluated together with the token before it; the tokens that the model would have chosen anyway are kept. This pays where a batch of
four costs less than the tokens it yields: on a GPU, or with fast cores and slow memory. So cost and yield are measured, and trials take at most 1
% of the generation time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

LENGTHS = (3, 7)
"""Tokens of a draft. Only two lengths, so that each is measured soon."""
KEY = 3
"""Number of consecutive tokens that must match an earlier position."""
BUDGET = 0.01
"""Share of the generation time that trials may cost."""
PAYS = 1.05
"""Minimum speed relative to decoding without drafts for drafting to be on."""
AGAIN = 400
"""Tokens after which a length that did not pay is tried again."""
REST = 8
"""Tokens between two decisions whether to draft: a decision takes microseconds, too much for every token of a small model."""


class Lookup:
    """The last position of each run of KEY tokens."""

    def __init__(self, tokens: Sequence[int], forbidden: Collection[int]) -> None:
        self._tokens = list(tokens)
        self._forbidden = forbidden
        """Tokens that no answer contains: those that divide the prompt."""
        self._places = {tuple(self._tokens[i - KEY : i]): i for i in range(KEY, len(self._tokens))}

    def add(self, token: int) -> None:
        """Add one token of the answer."""
        if len(self._tokens) >= KEY:
            self._places[tuple(self._tokens[-KEY:])] = len(self._tokens)
        self._tokens.append(token)

    def guess(self, length: int) -> list[int]:
        """The tokens that followed the last occurrence of the last KEY tokens; empty if there was none."""
        place = self._places.get(tuple(self._tokens[-KEY:]))
        if place is None:
            return []
        draft = self._tokens[place : place + length]
        cut = next((i for i, token in enumerate(draft) if token in self._forbidden), len(draft))
        return draft[:cut]


class Trial:
    """Measurements of drafts of one length."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.cost = float(length + 1)
        """Duration of such a batch, in tokens decoded singly; the worst case until it is measured."""
        self.yielded = 0.0
        """Tokens that such a batch yields."""
        self.tries = 0
        self.last = 0
        """Number of the token at which it was last tried."""

    @property
    def ratio(self) -> float:
        return self.yielded / self.cost


class Policy:
    """Decides whether to draft and how many tokens, from measurements of one model on this machine."""

    def __init__(self) -> None:
        self._trials = [Trial(length) for length in LENGTHS]
        self._single = 0.0
        """Seconds per token; a running mean."""
        self._total = 0.0
        self._lost = 0.0
        self._tokens = 0
        self._resting_until = 0
        self.drafted = self.accepted = 0

    @property
    def overhead(self) -> float:
        """Share of all generation time lost to drafting (negative: saved)."""
        return self._lost / self._total if self._total else 0.0

    def length(self) -> int:
        """Length of a draft that pays now; 0 for none."""
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
        """Count the time of a lookup, whether or not it found a draft."""
        self._total += seconds
        self._lost += seconds

    def plain(self, seconds: float) -> None:
        """Count a token that was evaluated without a draft."""
        self._single = self._single * 0.95 + seconds * 0.05 if self._single else seconds
        self._total += seconds
        self._tokens += 1

    def tried(self, length: int, drafted: int, accepted: int, seconds: float) -> None:
        """Count an evaluated draft and its accepted tokens."""
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
        """Whether the next draft stays within the budget even if all its tokens are rejected."""
        return self._single > 0 and self._lost + (trial.cost - 1) * self._single <= BUDGET * self._total
