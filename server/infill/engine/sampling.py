"""Chooses the next token and computes its probability. Reads logits; evaluates nothing.

Greedy decoding works on the logits directly (two passes, 0.1 ms for 150,000); random sampling uses llama.cpp's samplers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import llama_cpp
import numpy as np

from infill.ask import Sampling
from infill.engine.llama import Context, Logits

NEAR = (2, 4, 8, 12, 16, 24, 32)
"""Distances from the best logit, tried in turn until enough tokens are within one."""
LOOKED_THROUGH = (32, 256)
"""How many of the likeliest tokens are searched for a match with a half-typed word: first few, which is usually enough, then many."""
JUDGED = 64
"""Tokens of a completion whose probability is computed, at 0.2 ms each; further tokens get the mean of these."""
LIKELIEST = 100
"""Sampling considers this many of the likeliest tokens: the others are noise, and sorting them takes longer than a small model's evaluation."""


def log_probability(logits: Logits, token: int) -> float:
    """The model's own (temperature 1) log-probability of a token."""
    return float(logits[token]) - _normal(logits, float(logits.max()))


def _normal(logits: Logits, top: float) -> float:
    """Logarithm of the sum of all exponentials; `top` is the largest logit, or near it."""
    shifted = logits - np.float32(top)
    np.exp(shifted, out=shifted)
    return top + math.log(float(shifted.sum()))


def likeliest(logits: Logits, count: int) -> list[tuple[int, float]]:
    """The best `count` tokens with their log-probabilities, best first."""
    top = float(logits.max())
    behind = np.float32(top) - logits
    # numpy's partition takes 20 ms if many of 150,000 logits are equal, as those of unused tokens are; counting takes a tenth of a millisecond
    near = next((cut for cut in NEAR if np.count_nonzero(behind <= cut) >= count), None)
    able = np.flatnonzero(behind <= near) if near is not None else np.arange(len(logits))
    best = able[np.argsort(behind[able], kind="stable")][:count]
    normal = _normal(logits, top)
    return [(int(token), float(logits[token]) - normal) for token in best]


def compatible(logits: Logits, count: int, owed: bytes, piece: Callable[[int], bytes]) -> list[tuple[int, float]]:
    """The best tokens that begin with `owed`, or that `owed` begins with: at most `count`, best first, maybe none.

    The log-probabilities are normalized over the tokens found.
    """
    found: list[tuple[int, float]] = []
    for many in LOOKED_THROUGH:
        found = found or [one for one in likeliest(logits, min(many, len(logits))) if _agree(piece(one[0]), owed)]
    if not found:
        return []
    together = math.log(sum(math.exp(logprob - found[0][1]) for _, logprob in found)) + found[0][1]
    return [(token, logprob - together) for token, logprob in found[:count]]


def _agree(text: bytes, owed: bytes) -> bool:
    if owed.endswith(b"\n") and b"\n" in text[len(owed) :]:  # at the start of a line: more line breaks than the text has there
        return False
    return bool(text) and (text.startswith(owed) or owed.startswith(text))


class Chooser:
    """Chooses the tokens of one candidate."""

    def __init__(self, sampling: Sampling, candidate: int = 0, judged: int = JUDGED) -> None:
        """`judged`: number of tokens whose probability is computed. Later tokens get their mean; with `judged` 0 all get 0."""
        self.greedy = sampling.temperature <= 0
        self._left, self._mean, self._sum = judged, 0.0, 0.0
        self._judged = judged
        self._chain: Any = None if self.greedy else _chain(sampling, candidate)

    def choose(self, logits: Logits, context: Context, row: int) -> tuple[int, float]:
        """The chosen token for the batch's row, whose logits are given, and its log-probability."""
        token = int(logits.argmax()) if self.greedy else int(llama_cpp.llama_sampler_sample(self._chain, context.handle, row))
        if not self._left:
            return token, self._mean
        chosen = float(logits[token])
        # a greedy token has the largest logit, which saves a pass
        logprob = chosen - _normal(logits, chosen if self.greedy else float(logits.max()))
        self._left, self._sum = self._left - 1, self._sum + logprob
        self._mean = self._sum / (self._judged - self._left)
        return token, logprob

    def close(self) -> None:
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)
            self._chain = None


def _chain(sampling: Sampling, candidate: int) -> Any:
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    steps = [llama_cpp.llama_sampler_init_top_k(LIKELIEST)]
    if sampling.top_p < 1:
        steps.append(llama_cpp.llama_sampler_init_top_p(sampling.top_p, 1))
    if sampling.min_p > 0:
        steps.append(llama_cpp.llama_sampler_init_min_p(sampling.min_p, 1))
    steps.append(llama_cpp.llama_sampler_init_temp(sampling.temperature))
    steps.append(llama_cpp.llama_sampler_init_dist((sampling.seed + candidate) % 2**32))
    for step in steps:
        llama_cpp.llama_sampler_chain_add(chain, step)
    return chain
