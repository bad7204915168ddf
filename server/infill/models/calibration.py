"""Calibrated probabilities of suggestions: a temperature fitted to what turned out right, and how reliable the result is. Pure.

A model gives its first line the log-probability `l`, the sum of its tokens'. The calibrated probability is exp(l / T). T minimizes the log loss of
predicting which lines are right (temperature scaling, Guo et al. 2017, applied to whole lines), with a normal prior on log T around 0, so that few
lines move it little. T above 1 makes small probabilities larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

BOUNDS = (0.1, 10.0)
SPREAD = 0.5
"""Standard deviation of the prior."""
STEPS = 60
"""Of the golden-section search: each takes a third off."""
GOLDEN = (math.sqrt(5) - 1) / 2
LEAST = 1e-6
"""Probabilities are kept this far from 0 and 1: one surprise must not decide everything."""
TINY = 1e-300
BINS = 10
ENOUGH = 40
"""Lines below which no temperature is fitted."""


class Line(msgspec.Struct, frozen=True):
    """A first line that a model gave."""

    logprob: float
    """Of its tokens together, without a temperature."""
    right: bool
    """It is what belongs there."""

    def probability(self, temperature: float = 1.0) -> float:
        return math.exp(min(0.0, self.logprob) / temperature)


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Lines whose probability lies in one tenth."""

    lines: int
    mean_probability: float
    right_share: float


def log(probability: float | None) -> float:
    """Its logarithm; very small for 0, and 0 where nothing is known."""
    return 0.0 if probability is None else math.log(max(probability, TINY))


def temperature(lines: Sequence[Line]) -> float:
    """The temperature that fits best; 1 where there are too few lines to tell."""
    if len(lines) < ENOUGH:
        return 1.0
    low, high = map(math.log, BOUNDS)
    for _ in range(STEPS):
        first, second = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if _cost(lines, first) < _cost(lines, second):
            high = second
        else:
            low = first
    return round(math.exp((low + high) / 2), 3)


def _cost(lines: Sequence[Line], log_heat: float) -> float:
    return log_loss(lines, math.exp(log_heat)) * len(lines) + (log_heat / SPREAD) ** 2 / 2


def log_loss(lines: Sequence[Line], heat: float) -> float:
    """Mean negative log-likelihood of what turned out right."""
    total = 0.0
    for line in lines:
        probability = min(1 - LEAST, max(LEAST, line.probability(heat)))
        total -= math.log(probability if line.right else 1 - probability)
    return total / len(lines)


def bins(lines: Sequence[Line], heat: float = 1.0) -> list[Bin]:
    """Reliability: by tenths of the probability, what share turned out right."""
    sorted_in: list[list[Line]] = [[] for _ in range(BINS)]
    for line in lines:
        sorted_in[min(BINS - 1, int(line.probability(heat) * BINS))].append(line)
    return [_bin(found, heat) for found in sorted_in]


def _bin(found: Sequence[Line], heat: float) -> Bin:
    count = max(1, len(found))
    mean = sum(line.probability(heat) for line in found) / count
    return Bin(lines=len(found), mean_probability=mean, right_share=sum(line.right for line in found) / count)


def calibration_error(lines: Sequence[Line], heat: float = 1.0) -> float:
    """Expected calibration error: the mean distance between probability and share, weighted by the bins' sizes."""
    return sum(each.lines * abs(each.mean_probability - each.right_share) for each in bins(lines, heat)) / max(1, len(lines))
