"""The plan for an installed model on this machine: from the file's header, the hardware and tuning results. `fit` calculates.

The engine calls `plan_for` before it loads a model and `fits_beside` before it loads a second one; editors and the command line call `fit_of`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from infill import paths, state
from infill.errors import DoesNotFit
from infill.models import fit, gguf, hardware, kernels
from infill.models.fit import Fit, Plan
from infill.models.gguf import Facts
from infill.models.machine import Machine
from infill.models.store import ModelFile
from infill.settings import Engine
from infill.state import write_atomically


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """The best plan that was measured for one model on one machine."""

    machine: str
    """`fingerprint` of the machine of the measurement: the plan is valid only there."""
    plan: Plan
    evaluate_per_second: float = 0.0
    generate_per_second: float = 0.0
    measured: float = 0.0
    """Seconds since 1970."""

    def __post_init__(self) -> None:
        """Raises ValueError for a plan that would be unsafe for llama.cpp: the file may be damaged."""
        plan = self.plan
        sizes = plan.context, plan.batch, plan.micro_batch, plan.threads, plan.threads_batch
        if not 0 < min(sizes) <= max(sizes) < 1 << 31 or plan.kv_type not in fit.KV_BYTES or not -1 <= plan.gpu_layers < 1 << 31:
            raise ValueError(plan)


def plan_for(model: ModelFile, engine: Engine) -> Fit:
    """How to load a model on this machine now. Raises BadModelFile, EngineCrashed, or DoesNotFit with the memory calculation."""
    found = fit_of(model, engine, hardware.machine())
    if found.plan is None:
        raise DoesNotFit(f"{model.title} does not fit on this machine. {found.sentence}", "Choose a smaller model (`infill models recommend`).")
    return found


def fit_of(model: ModelFile, engine: Engine, machine: Machine) -> Fit:
    """Whether and how a model fits on a machine, without configurations that fail there. Raises BadModelFile, or EngineCrashed if all fail."""
    kept, facts = tuned(model.id, machine), gguf.facts(model.path)
    return without_failing(fit.plan(facts, machine, engine, kept.plan if kept else None), facts, machine, model.title)


def without_failing(found: Fit, facts: Facts, machine: Machine, title: str) -> Fit:
    """The same fit with the plan that will be used. Raises EngineCrashed where llama.cpp fails in every configuration."""
    if found.plan is None:
        return found
    device = " ".join(f"{card.name} {card.title}" for card in machine.gpus) if fit.gpu_layer_count(facts, found.plan) and machine.gpus else ""
    wanted = kernels.baseline(msgspec.structs.replace(found.plan, device=device))
    if (used := kernels.usable(wanted, facts)) is None:
        raise kernels.none_left(title)
    if used == wanted == found.plan:
        return found
    judged = fit.judged(facts, used, machine)
    return msgspec.structs.replace(judged, sentence=f"{judged.sentence} {used.restricted}".strip())


def fits_beside(model: ModelFile, plan: Plan, others: Sequence[ModelFile] = ()) -> bool:
    """Whether one more model fits now, while all loaded ones stay. Raises BadModelFile.

    A model that would get more layers onto a GPU without the others does not fit beside them: it would be slow because of them.
    """
    machine, facts = hardware.machine(), gguf.facts(model.path)
    if machine.gpus and others and _layers_alone(facts, others, machine) > fit.gpu_layer_count(facts, plan):
        return False
    return fit.fit_beside(fit.need(facts, plan, machine), plan, machine)


def _layers_alone(facts: Facts, others: Sequence[ModelFile], machine: Machine) -> int:
    """Layers that the GPUs would hold without the others, by the memory in their plans."""
    taken = sum(fit_of(other, Engine(), emptied(machine)).need.gpu for other in others)
    found = fit.plan(facts, emptied(machine, taken))
    return fit.gpu_layer_count(facts, found.plan) if found.plan else 0


def emptied(machine: Machine, given_back: int | None = None) -> Machine:
    """The machine after that many bytes of its GPUs were freed; by default all of them."""
    share = given_back // max(1, len(machine.gpus)) if given_back is not None else None
    cards = [msgspec.structs.replace(card, free=card.total if share is None else min(card.total, card.free + share)) for card in machine.gpus]
    return msgspec.structs.replace(machine, gpus=tuple(cards), memory_free=machine.memory_total)


def step_down(model: ModelFile, plan: Plan, engine: Engine) -> tuple[Plan, str] | None:
    """The next smaller plan after loading ran out of memory, with a message; None when there is none."""
    return fit.step_down(plan, gguf.facts(model.path), engine)


def tuned(model_id: str, machine: Machine) -> Tuned | None:
    """The tuning result for this model on this machine; None where it was not measured."""
    kept = state.read(_tuned_file(model_id), Tuned)
    return kept if kept is not None and kept.machine == fingerprint(machine) else None


def keep(model_id: str, found: Tuned) -> None:
    """Store a measured plan. Raises InfillError where it cannot be written."""
    file = _tuned_file(model_id)
    paths.private_directory(file.parent)
    write_atomically(file, msgspec.json.format(msgspec.json.encode(found)))


def forget(model_id: str) -> bool:
    """Delete a measured plan; False where there was none."""
    try:
        _tuned_file(model_id).unlink()
    except FileNotFoundError:
        return False
    return True


def fingerprint(machine: Machine) -> str:
    """A key that changes with the processor, the GPUs and llama.cpp's version: older measurements are then invalid."""
    cpu = machine.cpu
    gpus = [(card.name, card.title, card.total) for card in machine.gpus]
    return hashlib.sha256(repr((cpu.title, cpu.physical, cpu.logical, cpu.quota, gpus, machine.llama_cpp)).encode()).hexdigest()[:16]


def _tuned_file(model_id: str) -> Path:
    digest = hashlib.sha256(model_id.encode()).hexdigest()[:16]
    return paths.state_directory() / "plans" / f"{digest}.json"
