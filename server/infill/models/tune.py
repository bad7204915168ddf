"""Measures the best plan for a model on this machine: threads, batch, flash attention, KV type, layers on the GPU; one after the other.

Each plan is measured twice, alone and with the other cores busy: the fastest plan on an idle machine can be the slowest beside a compiler.
`infill.engine.measure` does this in a process of its own; the engine is not used.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from infill import state
from infill.errors import ModelError
from infill.models import child, fit, gguf, hardware, planning, store
from infill.models.child import Child
from infill.models.fit import Plan
from infill.models.gguf import Facts
from infill.models.machine import Machine
from infill.models.planning import Tuned
from infill.settings import Engine

EVALUATED, GENERATED = 48, 24
"""Tokens of the completion that plans are compared by: what was typed since the last request, and one generated line."""
WORTH = 1.05
"""Minimum speed-up over the best plan so far: smaller differences are noise."""
WORTH_OF_QUALITY = 1.15
"""Minimum speed-up where quality drops slightly (a coarser KV cache)."""
QUICK_SECONDS = 3.0
"""A shorter measurement is repeated and the better one counts: other load disturbs short ones most."""
PATIENCE_SECONDS = 300
"""For one measurement: large models on slow machines take long."""
DISTURBED = "It is not kept, because other programs used the cores meanwhile: run `infill tune` again when they are done."
BUSY = "import os, threading; threading.Thread(target=lambda: (__import__('sys').stdin.read(), os._exit(0)), daemon=True).start()\nwhile True: pass"


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement; mirrors `engine.measure.Result`."""

    evaluate_per_second: float = 0.0
    generate_per_second: float = 0.0
    load_seconds: float = 0.0
    received: float = 1.0
    """Share of the requested CPU time that its threads received."""
    error: str = ""

    @property
    def seconds(self) -> float:
        """Seconds for a completion."""
        if self.error or not self.evaluate_per_second or not self.generate_per_second:
            return float("inf")
        return EVALUATED / self.evaluate_per_second + GENERATED / self.generate_per_second


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One plan and its speeds."""

    what: str
    """Its difference from the start plan."""
    plan: Plan
    alone: Speed
    beside: Speed
    """With the other cores busy."""
    best: bool = False

    @property
    def seconds(self) -> float:
        """The mean of alone and busy, by which plans are compared."""
        return (self.alone.seconds + self.beside.seconds) / 2


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """All measurements, and the best plan."""

    model: str
    plan: Plan
    table: tuple[Row, ...]
    message: str
    kept: bool = True
    """False if other programs used the cores during the measurement."""


Measure = Callable[[Plan, bool], Speed]
"""A plan, and whether the other cores are busy."""


def tune(
    model_id: str,
    engine: Engine = Engine(),  # noqa: B008 - a frozen value
    progress: Callable[[float, str], None] = lambda share, what: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome | None:
    """Measure and store the best plan for a model on this machine; None when cancelled. Takes a minute or more; run it in a thread.

    Raises UnknownModel, ModelMissing, BadModelFile, DoesNotFit, or ModelError where llama.cpp does not run.
    """
    file = store.locate(model_id)
    machine, facts = hardware.machine(), gguf.facts(file.path)
    # an earlier result stays valid until this one is complete; measuring starts from the default plan
    start = fit.plan(facts, machine, engine).plan or planning.plan_for(file, engine).plan or Plan()
    with _measuring(str(file.path), machine, cancelled) as measure:
        rows = search(start, choices(start, facts, machine, engine), measure, progress)
    if rows is None or cancelled():
        return None
    best = next(row for row in rows if row.best)
    if best.alone.error:
        raise ModelError(f"{file.title} could not be measured: {best.alone.error}", "`infill doctor` says more.")
    gain = rows[0].seconds / best.seconds
    message = f"{fit.describe(best.plan, facts)}: {best.alone.generate_per_second:.0f} tokens/s, evaluation {best.alone.evaluate_per_second:.0f}"
    message += f"; {gain:.1f} times as fast as before." if gain > 1 else "."
    if child.is_disturbed(statistics.mean(row.alone.received for row in rows)):
        return Outcome(model=file.id, plan=best.plan, table=tuple(rows), message=f"{message} {DISTURBED}", kept=False)
    kept = Tuned(
        machine=planning.fingerprint(machine),
        plan=best.plan,
        evaluate_per_second=best.alone.evaluate_per_second,
        generate_per_second=best.alone.generate_per_second,
        measured=time.time(),
    )
    planning.keep(file.id, kept)
    return Outcome(model=file.id, plan=best.plan, table=tuple(rows), message=message)


def choices(start: Plan, facts: Facts, machine: Machine, engine: Engine) -> list[list[tuple[str, dict[str, object]]]]:
    """The variants to try, group by group, without what the user set. Each entry is a name and its changes."""
    cores = machine.cpu.useful
    groups: list[list[tuple[str, dict[str, object]]]] = []
    if engine.threads is None:
        counts = sorted({1, max(1, cores // 2), max(1, cores - 2), max(1, cores - 1), cores})
        groups.append([(f"{count} threads", {"threads": count, "threads_batch": count}) for count in counts])
        groups.append([(f"{count} threads for evaluation", {"threads_batch": count}) for count in counts])
    if engine.batch_size is None:
        groups.append([(f"micro-batch {size}", {"batch": max(size, start.batch), "micro_batch": size}) for size in (128, 256, 1024)])
    if engine.flash_attention is None:
        groups.append([("without flash attention", {"flash_attention": False})])
    if engine.kv_type is None:
        groups.append([("KV cache in q8_0", {"kv_type": "q8_0"})])
    if machine.gpus and engine.gpu_layers is None:
        half = (facts.layers + 1) // 2
        groups.append([("on the CPU only", {"gpu_layers": 0}), (f"{half} layers on the GPU", {"gpu_layers": half})])
    return groups


def search(
    start: Plan, groups: Sequence[Sequence[tuple[str, dict[str, object]]]], measure: Measure, progress: Callable[[float, str], None]
) -> list[Row] | None:
    """Change one thing at a time and keep what is faster. The first row is the start; one is marked best. None when cancelled."""
    total, done = 1 + sum(len(group) for group in groups), 0
    rows: list[Row] = []

    def add(what: str, plan: Plan) -> Row | None:
        nonlocal done
        progress(done / total, what)
        done += 1
        try:
            row = Row(what=what, plan=plan, alone=measure(plan, False), beside=measure(plan, True))
        except InterruptedError:
            return None
        rows.append(row)
        return row

    best = add("as planned", start)
    for group in groups:
        for what, change in group:
            if best is None:
                return None
            plan = msgspec.structs.replace(best.plan, **change)
            if any(row.plan == plan for row in rows):
                done += 1
                continue
            row = add(what, plan)
            if row is None:
                return None
            worth = WORTH_OF_QUALITY if "kv_type" in change else WORTH
            if row.seconds * worth < best.seconds:
                best = row
    progress(1.0, "done")
    return [msgspec.structs.replace(row, best=row is best) for row in rows]


@contextlib.contextmanager
def _measuring(path: str, machine: Machine, cancelled: Callable[[], bool]) -> Iterator[Measure]:
    """The measuring process, and the load on the other cores. Both end with the block."""
    with child.running(child.python("-m", "infill.engine.measure", "plans", path)) as measuring:

        def measure(plan: Plan, busy: bool) -> Speed:
            with _neighbours(max(1, machine.cpu.useful - 1) if busy else 0):
                began = time.monotonic()
                first = _ask(measuring, plan, cancelled)
                if time.monotonic() - began > QUICK_SECONDS:
                    return first
                return min(first, _ask(measuring, plan, cancelled), key=lambda speed: speed.seconds)

        yield measure


def _ask(measuring: Child, plan: Plan, cancelled: Callable[[], bool]) -> Speed:
    """One measurement. Raises InterruptedError when cancelled, ModelError where the process exited."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    measuring.say(msgspec.json.encode(plan))
    while time.monotonic() < deadline:
        if cancelled():
            raise InterruptedError
        line = measuring.line(0.1)
        if line:
            return state.decoded(line, Speed) or Speed(error="llama.cpp's answer makes no sense")
        if line is not None:
            raise ModelError("llama.cpp crashed while a plan was measured.", "`infill doctor` says more.")
    return Speed(error=f"it took longer than {PATIENCE_SECONDS} s")


@contextlib.contextmanager
def _neighbours(count: int) -> Iterator[None]:
    """Processes that keep `count` cores busy, as a compiler does."""
    with contextlib.ExitStack() as all_of_them:
        for _ in range(count):
            all_of_them.enter_context(child.running(child.python("-c", BUSY)))
        yield
