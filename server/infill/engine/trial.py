"""Runs the self-test for a plan that is new on this machine, and tries plainer plans until one passes.

The test runs in its own process (`engine.selftest`) before the model is loaded, so that a crash affects nothing else. `models.kernels` stores its
result. Nothing is stored if the test was inconclusive (no memory, timeout, unreadable file).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from infill.engine import advice, exits
from infill.models import child, fit, gguf, kernels, library, processor
from infill.models.child import Child
from infill.models.fit import Plan
from infill.models.kernels import Result
from infill.models.store import ModelFile

TOLERANCE = 0.3
"""Largest relative difference that passes: rounding of correct kernels differs by up to 0.05, wrong results by 1 and more."""
REFERENCE_SECONDS = 300.0
"""For the plain computation, which reads the file from disk for the first time."""
SLOWER, SURPLUS_SECONDS = 20.0, 60.0
"""A computation hangs if it takes this many times as long as the plain one, and this many seconds longer."""
POLL_SECONDS = 0.1

log = logging.getLogger(__name__)


def verified(model: ModelFile, plan: Plan, progress: Callable[[float], bool]) -> Plan:
    """The plan, or the first plainer one that computes correctly, with a note in `restricted`. Blocks; fast if the result is stored.

    `progress` returns False to stop: then the plan is returned unchanged. Raises EngineCrashed if llama.cpp fails in every configuration.
    """
    facts = gguf.facts(model.path)
    while (step := kernels.usable(plan, facts)) is not None and kernels.result(step, facts) is None:
        if (found := self_test(model.path, step, progress)) is None:
            break
        kernels.keep(step, facts, found)
        if not found.works:
            log.warning("%s: llama.cpp %s in its self-test (%s).", model.id, found.why, fit.describe(step, facts))
    if step is None:
        raise kernels.none_left(model.title)
    return msgspec.structs.replace(step, restricted=step.restricted or plan.restricted)


def self_test(path: Path, plan: Plan, progress: Callable[[float], bool]) -> Result | None:
    """Test one plan; None if it was stopped or inconclusive. Raises EngineCrashed if even the plain computation crashes."""
    said: dict[str, Any] = {}
    command = child.python("-m", "infill.engine.selftest", str(path), msgspec.json.encode(plan).decode())
    began = time.monotonic()
    with child.running(command) as tested:
        while progress(0.0):
            line = tested.line(POLL_SECONDS)
            seconds = time.monotonic() - began
            if line:
                said.update(msgspec.json.decode(line))
                _keep_features(said)
            elif line is not None:
                return _judged(said, tested)
            elif "reference" not in said and seconds > REFERENCE_SECONDS:
                return None
            elif "reference" in said and seconds > (1 + SLOWER) * said["reference"] + SURPLUS_SECONDS:
                return Result(works=False, why=f"did not finish within {seconds:.0f} s")
    return None


def _keep_features(said: dict[str, Any]) -> None:
    if said.get("system") and not library.features():
        library.keep_features(library.features_of(said["system"]))


def _judged(said: dict[str, Any], tested: Child) -> Result | None:
    """The result of a completed self-test."""
    code = tested.code()
    signal = exits.signal_of(code)
    if "difference" in said:
        return _compared(said["difference"])
    if "error" in said or not signal:  # a signal from outside, such as the kernel's when memory runs out, does not show a kernel fault
        log.info("The self-test showed nothing: %s", said.get("error") or f"it ended with code {code}")
        return None
    if "reference" not in said:
        raise advice.unusable(signal, processor.missing(library.features()), started="system" in said)
    return Result(works=False, why=f"crashed ({signal})")


def _compared(difference: float | None) -> Result:
    if difference is None:
        return Result(works=False, why="computed values that are not finite")
    if difference > TOLERANCE:
        return Result(works=False, why=f"computed wrong results (they differ by {difference:.2f})")
    return Result(works=True)
