"""Which token comes next, and how sure the model is of it. Reads logits; never evaluates anything.

Greedy choice is made here on the logits themselves (two passes over them, a tenth of a millisecond for 150,000); everything random is left to
llama.cpp's own samplers.
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
"""Distances from the best logit within which enough others are sought."""
LOOKED_THROUGH = (32, 256)
"""Likeliest tokens among which those that agree with a half-typed word are sought: few, which is quick and mostly enough, then many."""
JUDGED = 64
"""Tokens of a completion whose probability is computed, a fifth of a millisecond each; what is generated beyond has the mean of these."""
LIKELIEST = 100
"""Sampling looks no further than this many tokens: what lies below them is noise, and sorting it costs more than a small model's evaluation."""


def log_probability(logits: Logits, token: int) -> float:
    """The model's own (temperature 1) log-probability of a token."""
    return float(logits[token]) - _normal(logits, float(logits.max()))


def _normal(logits: Logits, top: float) -> float:
    """Logarithm of the sum of all exponentials; `top` is the largest of them, or near it."""
    shifted = logits - np.float32(top)
    np.exp(shifted, out=shifted)
    return top + math.log(float(shifted.sum()))


def likeliest(logits: Logits, count: int) -> list[tuple[int, float]]:
    """The best few tokens with their log-probabilities, best first."""
    top = float(logits.max())
    behind = np.float32(top) - logits
    # numpy's own partition takes 20 ms where many of 150,000 are equal, as those of unused tokens are; counting takes a tenth of one
    near = next((cut for cut in NEAR if np.count_nonzero(behind <= cut) >= count), None)
    able = np.flatnonzero(behind <= near) if near is not None else np.arange(len(logits))
    best = able[np.argsort(behind[able], kind="stable")][:count]
    normal = _normal(logits, top)
    return [(int(token), float(logits[token]) - normal) for token in best]


def compatible(logits: Logits, count: int, owed: bytes, piece: Callable[[int], bytes]) -> list[tuple[int, float]]:
    """The best few tokens that begin with `owed`, or that it begins with, best first, maybe none; log-probabilities among the likely of these."""
    found: list[tuple[int, float]] = []
    for many in LOOKED_THROUGH:
        found = found or [one for one in likeliest(logits, min(many, len(logits))) if _agree(piece(one[0]), owed)]
    if not found:
        return []
    together = math.log(sum(math.exp(logprob - found[0][1]) for _, logprob in found)) + found[0][1]
    return [(token, logprob - together) for token, logprob in found[:count]]


def _agree(text: bytes, owed: bytes) -> bool:
    if owed.endswith(b"\n") and b"\n" in text[len(owed) :]:  # at the start of a line: more line breaks than stand there
        return False
    return bool(text) and (text.startswith(owed) or owed.startswith(text))


class Chooser:
    """Chooses one candidate's tokens."""

    def __init__(self, sampling: Sampling, candidate: int = 0, judged: int = JUDGED) -> None:
        """`judged`: tokens whose probability is computed; 0 where it is not asked for, and then all are 0."""
        self.greedy = sampling.temperature <= 0
        self._left, self._mean, self._sum = judged, 0.0, 0.0
        self._judged = judged
        self._chain: Any = None if self.greedy else _chain(sampling, candidate)

    def choose(self, logits: Logits, context: Context, row: int) -> tuple[int, float]:
        """A token for the batch's row, whose logits these are, and its log-probability."""
        token = int(logits.argmax()) if self.greedy else int(llama_cpp.llama_sampler_sample(self._chain, context.handle, row))
        if not self._left:
            return token, self._mean
        chosen = float(logits[token])
        # a greedy token is the largest of all, which saves a pass
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
