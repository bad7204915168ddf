"""Whether a model fits and how it is loaded: a table of machines, what users set, and what to do when memory runs out all the same."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infill import paths
from infill.models import catalog, fit, gguf
from infill.models.fit import Need, Plan
from infill.models.machine import Cpu, Gpu, Machine
from infill.settings import Engine

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GB = 1_000_000_000
TABLE = tomllib.loads(Path(__file__).with_name("machines.toml").read_text("utf-8"))["machine"]


def machine(memory: float, free: float, cores: int = 8, gpus: Any = (), unified: bool = False) -> Machine:
    return Machine(
        system="Darwin" if unified else "Linux",
        cpu=Cpu(physical=cores, performance=cores, logical=cores * 2),
        memory_total=int(memory * GB),
        memory_free=int(free * GB),
        gpus=tuple(
            Gpu(name=f"GPU{number}", total=int(total * GB), free=int(free * GB), unified=unified) for number, (total, free) in enumerate(gpus)
        ),
        built_for=("AVX2", "REPACK"),
    )


@functools.cache
def facts(model: str) -> gguf.Facts:
    found = catalog.expected(catalog.load().entries[model])
    assert found is not None
    return found


CASES = [pytest.param(here, model, id=f"{here['name']}: {model['id']}") for here in TABLE for model in here["models"]]


@pytest.mark.parametrize(("here", "expected"), CASES)
def test_the_table_of_machines(home: Path, here: dict[str, Any], expected: dict[str, Any]) -> None:
    where = machine(here["memory"], here["free"], here["cores"], here.get("gpus", ()), here.get("unified", False))
    found = fit.plan(facts(expected["id"]), where)
    assert found.judgement == expected["judgement"], found.sentence
    if found.plan is None:
        assert expected["judgement"] == "too big"
        return
    assert (found.plan.gpu_layers, found.plan.context) == (expected["gpu_layers"], expected["context"]), found.sentence
    assert found.plan.tensor_split == tuple(expected.get("tensor_split", ()))
    assert found.plan.threads == max(1, here["cores"] - 2)


def test_the_arithmetic_is_a_sentence(home: Path) -> None:
    found = fit.plan(facts("qwen2.5-coder-1.5b-q8_0"), machine(16, 10))
    assert found.sentence == "fits: 1.6 GB weights + 407 MB beside them = 2.1 GB; 10.0 GB of 16.0 GB memory are free."
    on_gpu = fit.plan(facts("qwen2.5-coder-7b-q8_0"), machine(16, 10, gpus=[(6.44, 5.9)]))
    assert "17 of 29 layers" in on_gpu.sentence
    assert "5.9 GB are free on GPU0" in on_gpu.sentence


SET = {
    "threads": 3, "context_size": 1024, "batch_size": 256, "gpu_layers": 5, "flash_attention": False, "kv_type": "q4_0",
}  # fmt: skip


@pytest.mark.parametrize("name", SET)
@pytest.mark.parametrize("gpus", [(), [(6.44, 5.9)]])
def test_what_the_user_set_is_never_touched(home: Path, name: str, gpus: Any) -> None:
    engine = Engine(**{name: SET[name]})
    tuned = Plan(threads=7, threads_batch=7, context=4096, kv_type="q8_0")
    for kept in (None, tuned):
        plan = fit.plan(facts("qwen2.5-coder-7b-q4_k_m"), machine(16, 10, gpus=gpus), engine, kept).plan
        assert plan is not None
        taken = {"context_size": "context", "batch_size": "batch"}.get(name, name)
        assert getattr(plan, taken) == SET[name]


def test_a_tuned_plan_stands_in_for_our_defaults(home: Path) -> None:
    tuned = Plan(threads=7, threads_batch=8, context=8192, micro_batch=256)
    assert fit.plan(facts("qwen2.5-coder-1.5b-q8_0"), machine(16, 10), tuned=tuned).plan == tuned


def test_layers_that_the_user_wants_but_the_card_has_no_room_for_are_tight(home: Path) -> None:
    found = fit.plan(facts("qwen2.5-coder-14b-q8_0"), machine(64, 50, gpus=[(6.44, 5.9)]), Engine(gpu_layers=40))
    assert found.judgement == "tight"
    assert found.plan is not None
    assert found.plan.gpu_layers == 40


def test_stepping_down_shortens_the_context_then_takes_layers_off(home: Path) -> None:
    model = facts("qwen2.5-coder-7b-q4_k_m")
    plan, said = Plan(gpu_layers=-1, context=16384), []
    while step := fit.step_down(plan, model):
        plan = step[0]
        said.append(step[1])
    assert (plan.context, plan.gpu_layers) == (2048, 0)
    assert said[0].startswith("The context was shortened to 8192")
    assert "21 of 29 layers" in said[3]


def test_stepping_down_leaves_alone_what_the_user_set(home: Path) -> None:
    model = facts("qwen2.5-coder-7b-q4_k_m")
    assert fit.step_down(Plan(gpu_layers=-1), model, Engine(context_size=8192, gpu_layers=99)) is None


def test_models_fit_together_as_long_as_their_sum_does(home: Path) -> None:
    here = machine(16, 10)
    small, large = (fit.plan(facts(f"qwen2.5-coder-{size}"), here).need for size in ("1.5b-q8_0", "7b-q8_0"))
    assert fit.fit_together([small, large], here)
    assert not fit.fit_together([small, large, large], here)
    assert fit.fit_beside(small, Plan(), here)
    assert not fit.fit_beside(large, Plan(), machine(16, 6))


def test_a_copy_is_counted_where_the_processor_wants_weights_rearranged(home: Path) -> None:
    model, plan = facts("qwen2.5-coder-1.5b-q4_k_m"), Plan()
    plain = fit.need(model, plan, msgspec.structs.replace(machine(16, 10), built_for=()))
    avx2 = fit.need(model, plan, machine(16, 10))
    assert plain.rearranged == 0
    assert avx2.resident - avx2.memory == avx2.rearranged > 500_000_000
    assert avx2.memory == plain.memory


def test_copies_for_amx_are_as_large_as_its_layout_makes_them(home: Path) -> None:
    """Sizes of rows from llama.cpp's `get_row_size`: 4 bytes more for each block of q8_0 (34 bytes) and q4_k (144 bytes)."""
    amx = msgspec.structs.replace(machine(16, 10), built_for=("AVX2", "AVX512", "AVX512_VNNI", "AMX_INT8", "REPACK"))
    bundled = gguf.facts(paths.bundled_model())
    for kind, times in (("f16", 1.0), ("q8_0", 38 / 34), ("q4_k", 148 / 144), ("q6_k", 1.0)):
        model = msgspec.structs.replace(bundled, by_type={kind: 34 * 144 * 1000}, output_type="f32")
        assert fit.need(model, Plan(), amx).rearranged == pytest.approx(34 * 144 * 1000 * times, rel=1e-6)
        assert fit.need(model, Plan(extra_buffers=False), amx).rearranged == 0


@settings(deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 150),
    st.lists(st.tuples(st.floats(1, 150), st.floats(0, 1)), max_size=4),
    st.sampled_from(sorted(catalog.load().entries)),
)
def test_no_plan_takes_more_than_there_is(memory: int, cores: int, gpus: list[tuple[float, float]], model: str) -> None:
    here = machine(memory, memory * 0.8, cores, [(total, total * share) for total, share in gpus])
    found = fit.plan(facts(model), here)
    assert (found.plan is None) == (found.judgement == "too big")
    if found.judgement == "fits":
        assert found.need.memory <= here.memory_free
        assert found.need.gpu_weights + found.need.gpu_kv <= sum(card.free for card in here.gpus)


def test_the_sums_add_up() -> None:
    needed = Need(weights=1, rearranged=2, kv=4, compute=8, overhead=16, gpu_weights=32, gpu_kv=64, gpu_compute=128)
    assert (needed.memory, needed.resident, needed.gpu) == (29, 31, 224)


def test_layers_on_a_gpu_are_the_last_ones_after_the_output_head(home: Path) -> None:
    model, here = gguf.read(paths.bundled_model()), machine(16, 10, gpus=[(8, 8)])
    head = fit.need(model, Plan(gpu_layers=1), here)
    two = fit.need(model, Plan(gpu_layers=3), here)
    whole = fit.need(model, Plan(gpu_layers=-1), here)
    assert (head.gpu_weights, head.gpu_kv) == (model.output_bytes, 0)
    assert two.gpu_weights == model.output_bytes + sum(model.layer_bytes[-2:])
    assert whole.gpu_weights == model.output_bytes + sum(model.layer_bytes)
    assert whole.kv == 0
