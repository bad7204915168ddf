"""The best model for this machine: the best one that fits beside the user's other programs and is fast enough, after a short measurement.

Generating a token reads all active weights once, so its time grows with their bytes. The measurement finds the bytes per second that this machine
reads, in two ways: by running the bundled model, and by copying memory. The second is needed because the bundled model fits into CPU caches.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from infill import paths, state
from infill.errors import ModelError
from infill.models import catalog, child, fit, gguf, hardware, planning, store
from infill.models.catalog import Entry
from infill.models.fit import Fit, amount
from infill.models.gguf import Facts
from infill.models.machine import Machine
from infill.settings import Engine
from infill.state import write_atomically

FAST_ENOUGH: dict[state.Role, float] = {"complete": 20.0, "generate": 8.0, "edit": 25.0}
"""Minimum tokens per second: half a line in a third of a second; a page in a minute; a changed line in a second."""
COMFORT = 0.6
"""Maximum share of all main memory for a recommended model."""
READ_OF_COPY = 1.0
"""Weights are read about as fast as memory is copied: a copy moves twice the bytes, but does not compute."""
GPU_BYTES_PER_SECOND = 150e9
"""For a GPU of unknown memory speed: that of today's slower ones."""
GPU_SHARE = 0.6
"""Share of its nominal memory speed that a GPU reaches with llama.cpp."""
PER_TOKEN_SECONDS = 0.0005
"""Time per token in addition to reading the weights."""
MEASURE_SECONDS = 60
VALID_SECONDS = 7 * 24 * 3600
BUSY = "The machine was busy when it was measured, so that the speeds are too low: run `infill models recommend` again when other programs are done."


Positive = Annotated[float, msgspec.Meta(gt=0)]


class _Measured(msgspec.Struct, frozen=True):
    """The output of `engine.measure quick`."""

    bundled_per_second: float
    copied_per_second: float
    received: float = 1.0
    """Share of the requested CPU time that its threads received."""


class Speeds(msgspec.Struct, frozen=True, kw_only=True):
    """Measured speeds of this machine."""

    machine: str
    """`planning.fingerprint`."""
    bundled_per_second: Positive
    """Tokens per second of the bundled model."""
    copied_per_second: Positive
    """Bytes of main memory per second."""
    gpu_bytes_per_second: float = 0.0
    measured: float = 0.0
    busy: bool = False
    """Other programs used the cores during the measurement: the speeds are too low and are not stored."""


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """One model, with the reason."""

    id: str
    title: str
    role: state.Role
    size: int
    tokens_per_second: float
    reason: str
    installed: bool
    licence: str = ""


def recommend(
    engine: Engine = Engine(),  # noqa: B008 - a frozen value
    role: state.Role = "complete",
    machine: Machine | None = None,
    speeds: Speeds | None = None,
) -> Recommendation:
    """The best model for a role on this machine. Measures for some seconds, once a week. Raises ModelError if no catalogue model fits."""
    here = machine or hardware.machine()
    known = speeds or remembered(here) or measure(here)
    return best(list(catalog.load().entries.values()), here, known, engine, role)


def best(entries: Sequence[Entry], machine: Machine, speeds: Speeds, engine: Engine, role: state.Role) -> Recommendation:
    """The pure part: the highest quality of those that fit and are fast enough; else the fastest that fits. Raises ModelError."""
    candidates = []
    for entry in entries:
        facts = catalog.expected(entry)
        if facts and role in entry.roles and entry.commercial and entry.quality:
            found = fit.plan(facts, machine, engine)
            if found.judgement == "fits" and _comfortably(found, machine):
                candidates.append((entry, found, expected_speed(facts, found, machine, speeds)))
    if not candidates:
        memory = f"{amount(machine.memory_free)} of {amount(machine.memory_total)} memory are free"
        raise ModelError(f"No model of the catalogue fits beside what runs here now: {memory}.", "Close other programs, or use a remote provider.")
    quick = [each for each in candidates if each[2] >= FAST_ENOUGH[role]]
    if quick:
        # with half of the layers on the GPU, each token waits for the CPU, and prompt processing takes far longer
        entry, found, speed = max(quick, key=lambda each: (not _divided(each[1]), each[0].quality, each[2]))
        reason = _reason(entry, found, speed, machine, candidates, role)
    else:
        entry, found, speed = max(candidates, key=lambda each: (each[2], each[0].quality))
        reason = f"None is faster than {FAST_ENOUGH[role]:.0f} tokens/s here; this is the fastest, at about {speed:.0f}. {_capital(found.sentence)}"
    return Recommendation(
        id=entry.full_id,
        title=entry.title,
        role=role,
        size=found.need.weights + found.need.gpu_weights if not entry.size else entry.size,
        tokens_per_second=round(speed, 1),
        reason=f"{reason} {BUSY}" if speeds.busy else reason,
        installed=store.installed_as(entry.id) is not None,
        licence=entry.licence,
    )


def expected_speed(facts: Facts, found: Fit, machine: Machine, speeds: Speeds | None) -> float:
    """Estimated tokens per second on this machine; 0 where it was not measured."""
    if speeds is None:
        return 0.0
    need, unified = found.need, any(card.unified for card in machine.gpus)
    reading = speeds.copied_per_second * READ_OF_COPY
    cpu = reading if unified else min(reading, speeds.bundled_per_second * _bundled_bytes())
    gpu = reading if unified else (speeds.gpu_bytes_per_second * GPU_SHARE or GPU_BYTES_PER_SECOND)
    # each token reads one row of the embeddings; all rows if they are also the output head
    looked_up = facts.input_bytes if need.gpu_weights or not facts.tied else 0
    seconds = ((need.weights - looked_up) / cpu + need.gpu_weights / gpu) * facts.active_share + PER_TOKEN_SECONDS
    return round(1 / seconds, 1)


def remembered(machine: Machine) -> Speeds | None:
    """Stored speeds, if they belong to this machine and are recent."""
    known = state.read(_file(), Speeds)
    if known is None or known.machine != planning.fingerprint(machine) or not 0 <= time.time() - known.measured < VALID_SECONDS:
        return None
    return known


def measure(machine: Machine) -> Speeds:
    """Measure now, in a process of its own, and store the result. Raises ModelError where llama.cpp does not run."""
    threads = str(fit.default_plan(Engine(), machine.cpu.useful, has_gpu=False).threads)
    try:
        done = child.run("infill.engine.measure", "quick", str(paths.bundled_model()), threads, timeout=MEASURE_SECONDS)
        answer = msgspec.json.decode(done.stdout.splitlines()[-1], type=_Measured)
    except (OSError, subprocess.SubprocessError, IndexError, msgspec.MsgspecError, ValueError) as exc:
        raise ModelError("This machine could not be measured: llama.cpp does not run.", "`infill doctor` says more.") from exc
    before = remembered(machine)
    gpu = max((card.bytes_per_second for card in machine.nvidia), default=0.0)
    found = Speeds(
        machine=planning.fingerprint(machine),
        # take the maximum, because other programs only make the machine look slower
        bundled_per_second=max(answer.bundled_per_second, before.bundled_per_second if before else 0.0),
        copied_per_second=max(answer.copied_per_second, before.copied_per_second if before else 0.0),
        gpu_bytes_per_second=gpu,
        measured=time.time(),
    )
    if child.is_disturbed(answer.received):
        return msgspec.structs.replace(found, busy=before is None)
    with contextlib.suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_atomically(_file(), msgspec.json.encode(found))
    return found


def _divided(found: Fit) -> bool:
    return found.plan is not None and found.plan.gpu_layers > 0


def _comfortably(found: Fit, machine: Machine) -> bool:
    """Whether it fits with room to spare: other programs keep their memory and may grow."""
    wanted = found.need.memory + (found.need.gpu if any(card.unified for card in machine.gpus) else 0)
    return wanted <= min(machine.memory_free - fit.memory_reserve(machine), machine.memory_total * COMFORT)


def _reason(entry: Entry, found: Fit, speed: float, machine: Machine, candidates: list[tuple[Entry, Fit, float]], role: state.Role) -> str:
    where = f"on {machine.gpus[0].title or machine.gpus[0].name}" if found.need.gpu_weights else "on the processor"
    said = f"The best that fits and is quick enough here: about {speed:.0f} tokens/s {where}. {_capital(found.sentence)}"
    better = [each for each in candidates if each[0].quality > entry.quality and each[2] < speed]
    if better:
        next_one = min(better, key=lambda each: each[0].quality)
        said += f" {next_one[0].title} ({next_one[0].quantization}) would fit too, but only reach about {next_one[2]:.0f}."
    return said


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _bundled_bytes() -> int:
    size = gguf.facts(paths.bundled_model())
    return sum(size.layer_bytes) + size.output_bytes


def _file() -> Path:
    return paths.state_directory() / "speeds.json"
