"""Which suggestions are shown during typing: those expected to save more characters than they cost. Pure.

    p * characters  >  (1 - p) * READING * characters

`p` is the probability that the first line is right. A right line saves its characters; a wrong one costs reading time. A suggestion is shown if its
provider returns no probabilities.
"""

from __future__ import annotations

from typing import Literal

from infill.completion.types import Suggestion

Eagerness = Literal["low", "medium", "high"]
READING: dict[Eagerness, float] = {"low": 0.2, "medium": 0.05, "high": 0.0}
"""Cost of reading one character of a wrong suggestion, in typed characters; chosen on half of the held-out files (docs/develop/quality.md)."""


def held_back(suggestion: Suggestion, eagerness: Eagerness) -> str:
    """Why an automatic suggestion is hidden; empty if it is shown."""
    wanted = threshold(eagerness)
    if suggestion.probability is None or suggestion.probability >= wanted:
        return ""
    return f"held back: {suggestion.probability:.0%} likely to be right, and shown from {wanted:.0%} on"


def threshold(eagerness: Eagerness) -> float:
    """Minimum probability of a suggestion that is shown."""
    return READING[eagerness] / (1 + READING[eagerness])
