"""Tuning: one thing at a time, what is faster is kept, what the user set is left alone."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import pytest
from test_fit import facts, machine

from infill.models import child, hardware, planning, store, tune
from infill.models.fit import Plan
from infill.models.tune import Speed
from infill.settings import Engine


def search(speeds: dict[tuple[int, int], float], start: Plan) -> list[tune.Row]:
    """Search with generation speeds by (threads, busy)."""

    def measure(plan: Plan, busy: bool) -> Speed:
        rate = speeds[plan.threads, busy]
        return Speed(evaluate_per_second=rate * 5, generate_per_second=rate)

    groups = [[(f"{count} threads", {"threads": count}) for count in (1, 2, 4)]]
    rows = tune.search(start, groups, measure, lambda share, what: None)
    assert rows is not None
    return rows


def test_what_is_fastest_alone_but_starves_beside_a_compiler_is_not_kept() -> None:
    rows = search({(1, False): 20, (1, True): 18, (2, False): 35, (2, True): 30, (4, False): 50, (4, True): 2}, Plan(threads=1))
    assert [row.plan.threads for row in rows if row.best] == [2]


def test_small_differences_change_nothing() -> None:
    rows = search({(1, False): 20, (1, True): 20, (2, False): 20.5, (2, True): 20.5, (4, False): 20.6, (4, True): 20.6}, Plan(threads=1))
    assert [row.what for row in rows if row.best] == ["as planned"]


def test_what_cannot_be_loaded_is_passed_over() -> None:
    def measure(plan: Plan, busy: bool) -> Speed:
        return Speed(error="no memory") if plan.micro_batch == 1024 else Speed(evaluate_per_second=100, generate_per_second=10)

    rows = tune.search(Plan(), [[("large", {"micro_batch": 1024})]], measure, lambda share, what: None)
    assert rows is not None
    assert [row.best for row in rows] == [True, False]


def test_what_the_user_set_is_not_tried(home: Path) -> None:
    here, model = machine(16, 10, gpus=[(24, 20)]), facts("qwen2.5-coder-7b-q4_k_m")
    everything = {what for group in tune.choices(Plan(), model, here, Engine()) for what, _ in group}
    assert {"KV cache in q8_0", "without flash attention", "on the CPU only", "micro-batch 256", "6 threads"} <= everything
    fixed = Engine(threads=2, batch_size=512, flash_attention=True, kv_type="f16", gpu_layers=0)
    assert [group for group in tune.choices(Plan(), model, here, fixed) if group] == []


@pytest.mark.slow
def test_the_best_plan_is_kept_for_this_model_on_this_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "QUICK_SECONDS", 0.0)
    monkeypatch.setattr(child, "UNDISTURBED", 0.0)  # whatever else this machine does now
    said: list[float] = []
    found = tune.tune("local:bundled", Engine(threads=1, batch_size=256, kv_type="f16"), lambda share, what: said.append(share))
    assert found is not None
    assert found.table[0].alone.generate_per_second > 1
    assert sum(row.best for row in found.table) == 1
    assert said[-1] == 1.0
    here = hardware.machine()
    kept = planning.tuned("local:bundled", here)
    assert kept is not None
    planned = planning.plan_for(store.locate("local:bundled"), Engine()).plan
    assert msgspec.structs.replace(planned, extra_buffers=kept.plan.extra_buffers) == kept.plan, "INFILL_EXTRA_BUFFERS decides over extra buffers"
    assert planning.tuned("local:bundled", msgspec.structs.replace(here, llama_cpp="newer")) is None
    assert planning.forget("local:bundled")
    assert planning.tuned("local:bundled", here) is None


@pytest.mark.parametrize(("received", "kept"), [(0.79, False), (0.8, True)])
def test_a_plan_that_was_measured_on_a_busy_machine_is_shown_and_not_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch, received: float, kept: bool
) -> None:
    speed = Speed(evaluate_per_second=100, generate_per_second=10, received=received)
    monkeypatch.setattr(tune, "_measuring", lambda *_: contextlib.nullcontext(lambda plan, busy: speed))
    found = tune.tune("local:bundled")
    assert found is not None
    assert (found.kept, tune.DISTURBED in found.message) == (kept, not kept)
    assert (planning.tuned("local:bundled", hardware.machine()) is not None) == kept


def test_a_cancelled_tuning_keeps_nothing_and_what_was_kept_before(home: Path) -> None:
    here = hardware.machine()
    assert tune.tune("local:bundled", cancelled=lambda: True) is None
    assert planning.tuned("local:bundled", here) is None
    before = planning.Tuned(machine=planning.fingerprint(here), plan=Plan(threads=1))
    planning.keep("local:bundled", before)
    assert tune.tune("local:bundled", cancelled=lambda: True) is None
    assert planning.tuned("local:bundled", here) == before
