"""Say nothing rather than something poor. Pure."""

from __future__ import annotations

import math

from infill.completion.types import Suggestion


def doubts(suggestion: Suggestion, min_confidence: float) -> str:
    """Why a suggestion is better not shown; empty: show it."""
    if min_confidence > 0 and confidence(suggestion) < min_confidence:
        return f"the model was not sure enough ({confidence(suggestion):.0%} a token)"
    return ""


def confidence(suggestion: Suggestion) -> float:
    """Mean probability that the model gave to its own tokens, 0 to 1 (1 where the provider does not say)."""
    return math.exp(min(0.0, suggestion.mean_logprob))
