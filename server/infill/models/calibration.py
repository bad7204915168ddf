"""Calibrated probabilities of suggestions: a temperature fitted to measured correctness, and the reliability of the result. Pure.

A model's first line has the log-probability `l`, the sum of its tokens'. The calibrated probability is exp(l / T). T minimizes the log loss of
predicting which lines are right (temperature scaling, Guo et al. 2017, applied to whole lines). A normal prior on log T around 0 keeps T near 1 for
few lines. T above 1 makes small probabilities larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

BOUNDS = (0.1, 10.0)
SPREAD = 0.5
"""Standard deviation of the prior."""
STEPS = 60
"""Steps of the golden-section search: each reduces the interval by a third."""
GOLDEN = (math.sqrt(5) - 1) / 2
LEAST = 1e-6
"""Probabilities are clipped this far from 0 and 1, so that one line cannot dominate the loss."""
TINY = 1e-300
BINS = 10
ENOUGH = 40
"""Minimum number of lines to fit a temperature."""


class Line(msgspec.Struct, frozen=True):
    """The first line of a completion."""

    logprob: float
    """Sum over its tokens, without a temperature."""
    right: bool
    """It equals the original line."""

    def probability(self, temperature: float = 1.0) -> float:
        return math.exp(min(0.0, self.logprob) / temperature)


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Lines with a probability in one tenth of the range."""

    lines: int
    mean_probability: float
    right_share: float


def log(probability: float | None) -> float:
    """The logarithm of a probability; very small for 0, and 0 for None."""
    return 0.0 if probability is None else math.log(max(probability, TINY))


def temperature(lines: Sequence[Line]) -> float:
    """The temperature that fits best; 1 for fewer than ENOUGH lines."""
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
    """Mean negative log-likelihood of the observed results."""
    total = 0.0
    for line in lines:
        probability = min(1 - LEAST, max(LEAST, line.probability(heat)))
        total -= math.log(probability if line.right else 1 - probability)
    return total / len(lines)


def bins(lines: Sequence[Line], heat: float = 1.0) -> list[Bin]:
    """Reliability: the share of right lines, by tenths of the probability."""
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
