"""Which suggestions are shown during typing: those that are expected to save more than they cost. Pure.

    p * characters  >  (1 - p) * READING * characters

`p` is the probability that the first line is what belongs there. Right, it saves its characters; wrong, they are read for nothing. A suggestion of a
provider that gives no probabilities is shown.
"""

from __future__ import annotations

from typing import Literal

from infill.completion.types import Suggestion

Eagerness = Literal["low", "medium", "high"]
READING: dict[Eagerness, float] = {"low": 0.2, "medium": 0.05, "high": 0.0}
"""What it costs to read a character for nothing, in characters of typing; chosen on half of the held-out files (docs/develop/quality.md)."""


def held_back(suggestion: Suggestion, eagerness: Eagerness) -> str:
    """Why a suggestion is better not shown unless it is asked for; empty: show it."""
    wanted = threshold(eagerness)
    if suggestion.probability is None or suggestion.probability >= wanted:
        return ""
    return f"held back: {suggestion.probability:.0%} likely to be right, and shown from {wanted:.0%} on"


def threshold(eagerness: Eagerness) -> float:
    """The probability from which a suggestion is worth reading."""
    return READING[eagerness] / (1 + READING[eagerness])
