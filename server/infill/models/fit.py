"""Whether a model fits on a machine, and the plan to load it. Pure: all inputs are arguments; nothing is measured or read.

The sizes of the weights come from the file. What llama.cpp 0.3.36 allocates in addition was found by loading files with many plans and reading
its log; tests compare the sums with measured resident memory.

main memory   weights of the layers left to the CPU, embeddings, their KV cache, vocabulary, activations; a rearranged copy of some weights
GPU           weights of its layers (the last ones first, after the output head), their KV cache, activations
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from infill.models.gguf import Facts
from infill.models.machine import Gpu, Machine
from infill.settings import Engine

MB, GB = 1_000_000, 1_000_000_000
MIB = 1024 * 1024

CONTEXT = 8192
"""Default number of tokens of the shared KV cache: a few open files at two thousand tokens each."""
CONTEXTS = (32768, 16384, CONTEXT, 4096, 2048)
"""Tried from the longest on a GPU; shortened before layers are moved to the CPU."""
ROOMY = 0.15
"""Share of a GPU's free memory that a KV cache longer than CONTEXT may use."""
SEQUENCES = 30
"""The runtime's sequences in one cache (`engine.slots.SEQUENCES` and one for moving cells); each has a row of logits."""
OUTPUTS = 32
"""Maximum number of logit rows that the runtime computes in one batch."""
PROCESS = 50 * MIB
"""Bytes of Python, its libraries and llama.cpp."""
PER_WORD = 170
"""Bytes of llama.cpp's tables per token of the vocabulary."""
GPU_PROCESS = 250 * MIB
"""Bytes that a driver allocates on a GPU for any program."""
GPU_RESERVE = 512 * MIB
"""Bytes left free on each GPU: the desktop uses it too, and allocations are rounded up."""
MEMORY_RESERVE = 1024 * MIB
"""Bytes left free of main memory, or the share below if that is more: other programs grow."""
MEMORY_RESERVE_SHARE = 0.10
KV_BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
REARRANGED = {
    "AVX2": ("q4_0", "q4_k", "iq4_nl", "mxfp4"),
    "AVX512": ("q2_k",),
    "MATMUL_INT8": ("q4_0", "q4_k", "q5_k", "q6_k", "q8_0"),
    "DOTPROD": ("q4_0", "q4_k", "q5_k", "q6_k", "q8_0", "iq4_nl", "mxfp4"),
}
"""Tensor types of which llama.cpp keeps a second copy, by instruction set (ggml-cpu/repack.cpp)."""
AMX_GROWTH = {
    "f16": 1.0, "q4_0": 1.0, "q4_1": 1.0, "q8_0": 38 / 34, "q4_k": 148 / 144, "q5_k": 180 / 176, "q6_k": 1.0, "iq4_xs": 138 / 136,
}  # fmt: skip
"""Tensor types that llama.cpp copies to its AMX buffers (ggml-cpu/amx/amx.cpp) -> size ratio of a row there (`get_row_size` in amx/mmq.cpp)."""

Judgement = Literal["fits", "tight", "too big"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How llama.cpp loads and runs one model."""

    gpu_layers: int = 0
    """-1: all of them."""
    context: int = CONTEXT
    """Tokens of the unified KV cache, shared by all slots."""
    batch: int = 512
    micro_batch: int = 512
    threads: int = 1
    """For decoding."""
    threads_batch: int = 1
    """For prompt processing."""
    flash_attention: bool | None = None
    """None: llama.cpp decides."""
    kv_type: str = "f16"
    mmap: bool = True
    mlock: bool = False
    tensor_split: tuple[float, ...] = ()
    extra_buffers: bool = True
    """Weights are rearranged for the processor's widest instructions (llama.cpp's REPACK and AMX buffers)."""
    device: str = ""
    """Device of the layers on the GPU; empty: CPU only."""
    restricted: str = ""
    """What was switched off because it fails on this machine, and its cost, as a sentence; empty: nothing."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that a model needs when loaded by a plan."""

    weights: int = 0
    rearranged: int = 0
    kv: int = 0
    compute: int = 0
    overhead: int = 0
    gpu_weights: int = 0
    gpu_kv: int = 0
    gpu_compute: int = 0
    """On each GPU that is used."""

    @property
    def memory(self) -> int:
        """Bytes of main memory that must stay resident. Where weights were rearranged, the system may drop the file's own pages."""
        return self.weights + self.kv + self.compute + self.overhead

    @property
    def resident(self) -> int:
        """Bytes of main memory as process monitors show it while no pages were dropped."""
        return self.memory + self.rearranged

    @property
    def gpu(self) -> int:
        """Bytes on all GPUs together."""
        return self.gpu_weights + self.gpu_kv + self.gpu_compute


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """The plan, or why there is none."""

    judgement: Judgement
    plan: Plan | None
    need: Need
    sentence: str
    """The calculation in words."""


def default_plan(engine: Engine, physical_cores: int, has_gpu: bool) -> Plan:
    """A cautious plan that does not need the file: the user's settings, and defaults for the rest."""
    threads = engine.threads or max(1, physical_cores - 2)
    batch = engine.batch_size or 512
    return Plan(
        gpu_layers=engine.gpu_layers if engine.gpu_layers is not None else (-1 if has_gpu else 0),
        context=engine.context_size or CONTEXT,
        batch=batch,
        micro_batch=min(batch, 512),
        threads=threads,
        threads_batch=threads,
        flash_attention=engine.flash_attention,
        kv_type=engine.kv_type or "f16",
    )


def plan(facts: Facts, machine: Machine, engine: Engine = Engine(), tuned: Plan | None = None) -> Fit:  # noqa: B008 - a frozen value
    """The best plan for this model on this machine, or why there is none. The user's settings are kept; a tuned plan replaces the defaults."""
    base = tuned or default_plan(engine, machine.cpu.useful, has_gpu=False)
    base = _as_set(base, engine)
    candidates = [base] if not machine.gpus else _with_gpus(facts, machine, engine, base, tuned)
    for candidate in candidates:
        needed = need(facts, candidate, machine)
        if _gpu_holds(needed, candidate, machine) and judge(needed, machine) == "fits":
            return _fit(facts, candidate, needed, machine)
    shortened = candidates[-1] if engine.context_size or tuned else msgspec.structs.replace(candidates[-1], context=min(candidates[-1].context, 4096))
    return _fit(facts, shortened, need(facts, shortened, machine), machine)


def judged(facts: Facts, plan: Plan, machine: Machine) -> Fit:
    """The fit of a plan that was made elsewhere."""
    return _fit(facts, plan, need(facts, plan, machine), machine)


def need(facts: Facts, plan: Plan, machine: Machine) -> Need:
    """The bytes that this plan needs, in main memory and on GPUs."""
    on_gpu = gpu_layer_count(facts, plan) if machine.gpus else 0
    kept = max(0, facts.layers - max(0, on_gpu - 1))  # the output head counts as the first layer on a GPU
    output_on_gpu = on_gpu > 0
    layer_bytes = sum(facts.layer_bytes[:kept])
    share = layer_bytes / max(1, sum(facts.layer_bytes))
    head = 0 if output_on_gpu or facts.tied else facts.output_bytes
    cell = KV_BYTES.get(plan.kv_type, 2.0)
    context = -(-plan.context // 256) * 256
    activations = _activations(facts, plan)
    logits = (OUTPUTS + SEQUENCES) * facts.vocabulary * 4
    return Need(
        weights=layer_bytes + facts.input_bytes + head + (facts.output_bytes - facts.input_bytes if facts.tied and not output_on_gpu else 0),
        rearranged=_rearranged(facts, plan, machine, share),
        kv=int(sum(facts.kv_widths[:kept]) * cell * context),
        compute=(max(activations, OUTPUTS * facts.vocabulary * 4) if kept == facts.layers else activations) + SEQUENCES * facts.vocabulary * 4,
        overhead=PROCESS + facts.vocabulary * PER_WORD,
        gpu_weights=sum(facts.layer_bytes[kept:]) + (facts.output_bytes if output_on_gpu else 0),
        gpu_kv=int(sum(facts.kv_widths[kept:]) * cell * context),
        gpu_compute=max(activations, logits) + GPU_PROCESS if on_gpu else 0,
    )


def judge(needed: Need, machine: Machine) -> Judgement:
    """Whether main memory holds this: beside all running programs (fits), only if they free memory (tight), or not at all."""
    wanted = needed.memory + (needed.gpu if _unified(machine) else 0)
    reserve = memory_reserve(machine)
    if wanted > machine.memory_total - reserve:
        return "too big"
    return "tight" if wanted > machine.memory_free - reserve // 2 or wanted > machine.memory_total * 0.7 else "fits"


def memory_reserve(machine: Machine) -> int:
    """Bytes left to the system and other programs."""
    return int(max(MEMORY_RESERVE, machine.memory_total * MEMORY_RESERVE_SHARE))


def fit_beside(needed: Need, plan: Plan, machine: Machine) -> bool:
    """Whether this can be loaded in addition to everything loaded now; `machine` has the memory that is free now."""
    return (
        _gpu_holds(needed, plan, machine)
        and needed.memory + (needed.gpu if _unified(machine) else 0) < machine.memory_free - memory_reserve(machine) // 2
    )


def fit_together(needs: Sequence[Need], machine: Machine) -> bool:
    """Whether all of these fit at once on this machine, by its total memory."""
    memory, gpu = sum(each.memory for each in needs), sum(each.gpu for each in needs)
    if _unified(machine):
        return memory + gpu <= machine.memory_total * 0.7
    return memory <= machine.memory_total - memory_reserve(machine) and gpu <= sum(max(0, card.total - GPU_RESERVE) for card in machine.gpus)


def step_down(plan: Plan, facts: Facts, engine: Engine = Engine()) -> tuple[Plan, str] | None:  # noqa: B008 - a frozen value
    """The next smaller plan after loading ran out of memory, with a message; None when only the user's settings are left."""
    if plan.context > CONTEXTS[-1] and engine.context_size is None:
        shorter = next((size for size in CONTEXTS if size < plan.context), CONTEXTS[-1])
        return msgspec.structs.replace(plan, context=shorter), f"The context was shortened to {shorter} tokens: there was no memory for more."
    layers = gpu_layer_count(facts, plan)
    if layers > 0 and engine.gpu_layers is None:
        fewer = layers * 3 // 4 if layers > 4 else 0
        return msgspec.structs.replace(plan, gpu_layers=fewer), f"{fewer} of {facts.layers + 1} layers are on the GPU: there was no memory for more."
    return None


def describe(plan: Plan, facts: Facts | None = None) -> str:
    """A plan in one sentence."""
    layers = gpu_layer_count(facts, plan) if facts else plan.gpu_layers
    where = "on the CPU" if not plan.gpu_layers else f"{'all' if plan.gpu_layers < 0 else layers} layers on the GPU"
    threads = f"{plan.threads} threads ({plan.threads_batch} for evaluation)"
    off = [] if plan.extra_buffers else ["no rearranged weights"]
    off += ["no flash attention"] if plan.flash_attention is False else []
    return ", ".join([where, threads, f"context of {plan.context} tokens", f"KV cache in {plan.kv_type}", *off])


def amount(size: float) -> str:
    """Bytes as text with a unit."""
    return f"{size / GB:.1f} GB" if size >= 0.95 * GB else f"{size / MB:.0f} MB"


def _as_set(plan: Plan, engine: Engine) -> Plan:
    """The plan with the user's settings applied."""
    threads, batch = engine.threads, engine.batch_size
    return msgspec.structs.replace(
        plan,
        gpu_layers=plan.gpu_layers if engine.gpu_layers is None else engine.gpu_layers,
        context=engine.context_size or plan.context,
        batch=batch or plan.batch,
        micro_batch=min(batch, 512) if batch else plan.micro_batch,
        threads=threads or plan.threads,
        threads_batch=threads or plan.threads_batch,
        flash_attention=plan.flash_attention if engine.flash_attention is None else engine.flash_attention,
        kv_type=engine.kv_type or plan.kv_type,
    )


def _with_gpus(facts: Facts, machine: Machine, engine: Engine, base: Plan, tuned: Plan | None) -> list[Plan]:
    """Plans in order of preference: all layers on one GPU, on all GPUs, then as many layers as fit."""
    layers = engine.gpu_layers if engine.gpu_layers is not None else (tuned.gpu_layers if tuned else None)
    contexts = (
        [base.context] if engine.context_size or tuned else [size for size in CONTEXTS if size <= CONTEXT or _roomy(facts, size, base, machine)]
    )
    splits = _splits(machine)
    if layers is not None:
        return [msgspec.structs.replace(base, gpu_layers=layers, context=size, tensor_split=split) for split in splits for size in contexts]
    wholly = [msgspec.structs.replace(base, gpu_layers=-1, context=size, tensor_split=split) for size in contexts if size > 2048 for split in splits]
    partly = msgspec.structs.replace(
        base, context=min(base.context, CONTEXT if engine.context_size is None else base.context), tensor_split=splits[-1]
    )
    most = _most_layers(facts, partly, machine)
    return [*wholly, msgspec.structs.replace(partly, gpu_layers=-1 if most > facts.layers else most)]


def _roomy(facts: Facts, context: int, base: Plan, machine: Machine) -> bool:
    """Whether a long KV cache leaves enough free memory."""
    kv = sum(facts.kv_widths) * KV_BYTES.get(base.kv_type, 2.0) * context
    return context <= max(facts.context, CONTEXT) and kv <= ROOMY * sum(card.free for card in machine.gpus)


def _splits(machine: Machine) -> list[tuple[float, ...]]:
    """Splits over GPUs: first the one with the most free memory, because one is faster than several; then all, by free memory."""
    if len(machine.gpus) == 1:
        return [()]
    freest = max(range(len(machine.gpus)), key=lambda index: machine.gpus[index].free)
    alone = tuple(1.0 if index == freest else 0.0 for index in range(len(machine.gpus)))
    total = sum(_room(card) for card in machine.gpus) or 1
    return [alone, tuple(round(_room(card) / total, 3) for card in machine.gpus)]


def _most_layers(facts: Facts, plan: Plan, machine: Machine) -> int:
    """The number of layers that fit on the GPUs after the reserve."""
    for count in range(facts.layers + 1, 0, -1):
        candidate = msgspec.structs.replace(plan, gpu_layers=count)
        if _gpu_holds(need(facts, candidate, machine), candidate, machine):
            return count
    return 0


def _room(card: Gpu) -> int:
    return max(0, card.free - GPU_RESERVE)


def _gpu_holds(needed: Need, plan: Plan, machine: Machine) -> bool:
    if not needed.gpu:
        return True
    shares = plan.tensor_split or (1.0,)
    cards = [(card, share) for card, share in zip(machine.gpus, shares, strict=False) if share]
    # layers cannot be divided: a GPU may get up to one more than its share
    ragged = (needed.gpu_weights + needed.gpu_kv) // 20 if len(cards) > 1 else 0
    return bool(cards) and all((needed.gpu_weights + needed.gpu_kv) * share + ragged + needed.gpu_compute <= _room(card) for card, share in cards)


def gpu_layer_count(facts: Facts, plan: Plan) -> int:
    """Layers on GPUs, the output head counted as one."""
    return facts.layers + 1 if plan.gpu_layers < 0 else min(plan.gpu_layers, facts.layers + 1)


def _activations(facts: Facts, plan: Plan) -> int:
    """Bytes of llama.cpp's compute buffer for one micro-batch. Without flash attention it holds every attention score."""
    per_token = (3 * facts.feed_forward + 4 * facts.embedding) * 4 + 2 * plan.context
    if plan.flash_attention is False:
        widest = max(facts.kv_widths, default=0)
        scores = facts.heads * plan.context * 4 + 4 * plan.context + (5 * facts.embedding + widest) * 4
        per_token = max(per_token + 2 * plan.context, scores)
    return per_token * min(plan.micro_batch, plan.batch, plan.context)


def _rearranged(facts: Facts, plan: Plan, machine: Machine, share: float) -> int:
    """Bytes of the copies that llama.cpp makes of weights on the CPU; with layers on a GPU it makes none."""
    if machine.gpus or not plan.extra_buffers:
        return 0
    growth = _growth(machine)
    layers = sum(facts.by_type.get(kind, 0) * times for kind, times in growth.items()) * share
    return int(layers + facts.output_bytes * growth.get(facts.output_type, 0.0))


def _growth(machine: Machine) -> dict[str, float]:
    """Tensor types that this build of llama.cpp copies to extra buffers -> the size of the copy as a multiple of the original's."""
    built = set(machine.built_for)
    repacked = dict.fromkeys(_repacked_types(machine), 1.0)
    if built & {"AMX", "AMX_INT8"} and "AVX512_VNNI" in built and machine.system in ("Linux", "Windows"):
        return repacked | AMX_GROWTH
    return repacked


def _repacked_types(machine: Machine) -> set[str]:
    if "REPACK" not in machine.built_for:
        return set()
    return {kind for feature, kinds in REARRANGED.items() if feature in machine.built_for for kind in kinds}


def _unified(machine: Machine) -> bool:
    return any(card.unified for card in machine.gpus)


def _fit(facts: Facts, plan: Plan, needed: Need, machine: Machine) -> Fit:
    judgement = judge(needed, machine)
    if judgement == "fits" and not _gpu_holds(needed, plan, machine):
        judgement = "tight"  # only where the user set the layers
    return Fit(
        judgement=judgement, plan=None if judgement == "too big" else plan, need=needed, sentence=_sentence(facts, plan, needed, machine, judgement)
    )


def _sentence(facts: Facts, plan: Plan, needed: Need, machine: Machine, judgement: Judgement) -> str:
    """For example: fits: 1.6 GB weights + 0.2 GB cache and buffers = 1.8 GB; 9.1 of 16.0 GB memory are free."""
    wanted = needed.memory + (needed.gpu if _unified(machine) else 0)
    weights = needed.weights + needed.gpu_weights
    sums = f"{amount(weights)} weights + {amount(needed.memory + needed.gpu - weights)} beside them"
    free = f"{amount(machine.memory_free)} of {amount(machine.memory_total)} memory are free"
    if needed.gpu and not _unified(machine):
        layers = gpu_layer_count(facts, plan)
        cards = f"{amount(sum(card.free for card in machine.gpus))} are free on {' and '.join(card.title or card.name for card in machine.gpus)}"
        where = f"{layers} of {facts.layers + 1} layers ({amount(needed.gpu)}) go to the GPU, where {cards}; {amount(needed.memory)} to main memory"
        return f"{judgement}: {sums}; {where} ({free})."
    return f"{judgement}: {sums} = {amount(wanted)}; {free}."
