"""How long fuzz tests run: some seconds in CI, as long as wished by hand.

    INFILL_FUZZ_SECONDS=3600 .venv/bin/python -m pytest tests/fuzz -q --timeout 0        an hour for each test, other inputs each time

What is found becomes an explicit case beside the test (`@example`, or a parameter), and is mended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, settings

SECONDS = float(os.environ.get("INFILL_FUZZ_SECONDS", "0"))
"""0: the few examples of CI, the same in each run."""
CI_SECONDS = 8.0
"""What the bodies of one test's examples may take; the number of examples bounds the rest."""
Test = TypeVar("Test", bound=Callable[..., object])


def fuzz(examples: int) -> Callable[[Test], Test]:
    """Run a hypothesis test with so many examples in CI, or for `SECONDS` by hand."""
    return settings(
        max_examples=10_000_000 if SECONDS else examples,
        derandomize=not SECONDS,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        database=None,
    )


class Clock:
    """Ends a test whose time is up: the examples that are left over pass at once."""

    def __init__(self) -> None:
        self._until = time.monotonic() + (SECONDS or CI_SECONDS)

    def over(self) -> bool:
        return time.monotonic() > self._until
