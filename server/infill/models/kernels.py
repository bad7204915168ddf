"""llama.cpp's fast paths that fail on this machine, from self-tests and crashes: by build, processor, kind of weights and device.

wanted plan -> without rearranged weights -> without flash attention -> half of the GPU's layers -> CPU only

`usable` returns the first of these that has not failed. Each result is one small file in state/kernels, written atomically; a damaged file counts as
absent. This module computes nothing: `engine.trial` runs the self-test, and the engine reports crashes of its predecessor.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from infill import paths, state
from infill.errors import EngineCrashed, InfillError
from infill.models import library, processor
from infill.models.fit import Plan, gpu_layer_count
from infill.models.gguf import Facts

SWITCH = "INFILL_EXTRA_BUFFERS"
"""Environment variable: `off` loads every model without llama.cpp's extra buffers."""
WHAT = ("rearranged weights (REPACK, AMX)", "flash attention", "half of the GPU's layers", "the GPU")
COST = (
    "prompt processing takes up to twice as long, and less memory is used",
    "long contexts take more memory",
    "generation is several times slower",
    "generation is several times slower",
)
"""Cost of each step, in order. Measured: 1.9 times for q4_0 with AVX-512, nothing for q4_k and q6_k (`infill doctor --kernels`)."""


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a configuration that another build could improve."""

    build: str
    processor: str
    kinds: tuple[str, ...]
    device: str
    extra_buffers: bool


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The test result of one configuration."""

    works: bool
    why: str = ""
    """How it failed: `crashed (SIGILL)`, `gave results that differ by 0.9`, ..."""
    when: float = 0.0
    """Seconds since 1970."""
    crashed_engine: bool = False
    """It crashed the engine, not a self-test."""
    tested: Tested | None = None
    """What was tested; `keep` adds it."""


_unsaved: dict[str, Result] = {}
"""Results that could not be written: they are valid for this process."""


def baseline(plan: Plan) -> Plan:
    """The plan before known failures are considered."""
    return replace(plan, extra_buffers=os.environ.get(SWITCH, "").lower() not in ("off", "0"), restricted="")


def ladder(plan: Plan, facts: Facts) -> list[Plan]:
    """The plan, then plainer ones in the order of trial; each has the restrictions of those before it."""
    steps = [plan]
    changes: list[dict[str, object]] = [{"extra_buffers": False}, {"flash_attention": False, "kv_type": "f16"}]
    if layers := gpu_layer_count(facts, plan):
        changes += [{"gpu_layers": layers // 2}] if layers > 1 else []
        changes.append({"gpu_layers": 0, "tensor_split": (), "device": ""})
    for change in changes:
        if (plainer := replace(steps[-1], **change)) != steps[-1]:
            steps.append(plainer)
    return steps


def usable(plan: Plan, facts: Facts) -> Plan | None:
    """The first plan of `ladder` without a known failure, with a sentence in `restricted` if it is not `plan`; None: all fail."""
    why = ""
    for step in ladder(plan, facts):
        found = result(step, facts)
        if found is None or found.works:
            return replace(step, restricted=told(plan, step, why, facts)) if why else step
        why = why or found.why
    return None


def result(plan: Plan, facts: Facts) -> Result | None:
    """The stored result of a configuration on this machine; None: there is none."""
    return _read(_name(plan, facts))


def keep(plan: Plan, facts: Facts, found: Result) -> None:
    """Store a result; where the state directory cannot be written, for this process only."""
    tested = Tested(
        build=library.identity(),
        processor=processor.identity(),
        kinds=facts.kinds,
        device=plan.device,
        extra_buffers=plan.extra_buffers,
    )
    _write(_name(plan, facts), replace(found, tested=tested))


def failed_with_extra_buffers(build: str = "") -> str:
    """How a self-test with extra buffers failed on this processor and passed without them; empty: none did. `build`: only that build."""
    with_them: dict[Tested, str] = {}
    without: set[Tested] = set()
    for file in sorted(_directory().glob("*.json")):
        found = state.read(file, Result)
        tested = found.tested if found else None
        if found is None or tested is None or found.crashed_engine or tested.processor != processor.identity() or build not in ("", tested.build):
            continue
        if found.works and not tested.extra_buffers:
            without.add(tested)
        elif not found.works and tested.extra_buffers:
            with_them[replace(tested, extra_buffers=False)] = found.why
    return next((why for tested, why in with_them.items() if tested in without), "")


def crashed(plan: Plan, facts: Facts, why: str) -> None:
    """Record that the engine crashed while it computed by this plan, although its self-test passed.

    After that only the plainest plan for the same device is used, and after a second crash only the CPU. So a model on the CPU crashes the engine at
    most twice, one on a GPU once more.
    """
    steps = ladder(replace(plan, restricted=""), facts)
    again = _read(_key(facts, "crashes")) is not None
    kept = steps[-1] if again else [step for step in steps if step.gpu_layers == plan.gpu_layers][-1]
    found = Result(works=False, why=why, crashed_engine=True)
    for step in steps if kept == steps[0] else steps[: steps.index(kept)]:
        keep(step, facts, found)
    _write(_key(facts, "crashes"), found)


def forget() -> None:
    """Delete all results: all configurations are tested again."""
    _unsaved.clear()
    for file in _directory().glob("*.json"):
        with contextlib.suppress(OSError):
            file.unlink()


def none_left(title: str) -> EngineCrashed:
    """The error where `usable` finds no plan."""
    return EngineCrashed(
        f"llama.cpp fails on this machine in every configuration that was tried for {title}.",
        "Make another llama.cpp with `infill build`, choose a model with another quantization, or test again: `infill doctor --kernels --again`.",
    )


def told(wanted: Plan, used: Plan, why: str, facts: Facts) -> str:
    """What is switched off, why, and what it costs."""
    gone = [
        wanted.extra_buffers and not used.extra_buffers,
        wanted.flash_attention is not False and used.flash_attention is False,
        0 < gpu_layer_count(facts, used) < gpu_layer_count(facts, wanted),
        gpu_layer_count(facts, wanted) > 0 and not used.gpu_layers,
    ]
    off = [what for what, is_off in zip(WHAT, gone, strict=True) if is_off]
    costs = dict.fromkeys(cost for cost, is_off in zip(COST, gone, strict=True) if is_off)
    kinds = ", ".join(facts.kinds) or "these"
    return f"Switched off on this machine for {kinds} weights: {' and '.join(off)}, because llama.cpp {why}. The cost: {'; '.join(costs)}."


def _name(plan: Plan, facts: Facts) -> str:
    # rounded to quarters, because the number of layers that fit changes with other programs on the GPU
    share = -(-4 * gpu_layer_count(facts, plan) // (facts.layers + 1))
    return _key(facts, plan.device or "cpu", share, plan.extra_buffers, plan.flash_attention, plan.kv_type)


def _key(facts: Facts, *parts: object) -> str:
    whole = (library.identity(), processor.identity(), facts.kinds, *parts)
    return f"{hashlib.sha256(repr(whole).encode()).hexdigest()[:24]}.json"


def _read(name: str) -> Result | None:
    return state.read(_directory() / name, Result) or _unsaved.get(name)


def _write(name: str, found: Result) -> None:
    dated = replace(found, when=found.when or time.time())
    try:
        state.write_atomically(paths.private_directory(_directory()) / name, msgspec.json.encode(dated))
        _unsaved.pop(name, None)
    except (OSError, InfillError):
        _unsaved[name] = dated


def _directory() -> Path:
    return paths.state_directory() / "kernels"
