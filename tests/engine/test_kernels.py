"""Kernels that crash or compute wrongly are detected before the first request and avoided from then on, without a restart loop.

No test machine needs broken kernels: `crashing/sitecustomize.py` makes llama.cpp crash, or compute wrongly, in its first batch.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from questions import BUNDLED, answer, prompt

from infill.ask import Stop
from infill.engine import launch, transport
from infill.errors import EngineCrashed
from infill.models import gguf, kernels, planning, store
from infill.models.fit import Plan
from infill.providers.local import LocalProvider
from infill.settings import Engine

CRASHING = Path(__file__).parent / "crashing"
PATIENT = prompt(stop=Stop(max_tokens=8, deadline_ms=120_000))


@pytest.fixture(autouse=True)
def extra_buffers_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use extra buffers, whatever the environment of the test run."""
    monkeypatch.delenv(kernels.SWITCH, raising=False)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch):
    """Break llama.cpp in every process that is started from now on."""

    def make(what: str, how: str = "SIGILL", stage: str = "batch") -> None:
        monkeypatch.setenv("INFILL_TEST_STAGE", stage)
        monkeypatch.setenv("PYTHONPATH", str(CRASHING))
        monkeypatch.setenv("INFILL_TEST_CRASH", what)
        monkeypatch.setenv("INFILL_TEST_SIGNAL", how)

    return make


async def restricted(local: LocalProvider) -> str:
    status = await local.status()
    assert status is not None
    return status.models[0].restricted


def planned() -> Plan:
    found = planning.plan_for(store.locate(BUNDLED), Engine()).plan
    assert found is not None
    return found


def engines_started(home: Path) -> int:
    """Counted by stderr files: one of the running engine, one of the previous engine."""
    return len(list((home / "runtime").glob("*.stderr*")))


# ---- the self-test


@pytest.mark.parametrize(
    ("how", "why"), [("SIGILL", "crashed (SIGILL)"), ("SIGSEGV", "crashed (SIGSEGV)"), ("wrong", "wrong results"), ("nan", "not finite")]
)
async def test_rearranged_weights_that_fail_are_avoided_before_the_first_answer(provider, home, broken, how, why):
    broken("extra", how)
    text, _, _ = await answer(provider, PATIENT)
    assert text
    assert engines_started(home) == 1
    told = await restricted(provider)
    assert why in told
    assert "rearranged weights" in told and "The cost" in told
    assert not planned().extra_buffers


async def test_a_self_test_that_dies_while_weights_are_loaded_is_a_failure_too(provider, home, broken):
    broken("extra", "SIGBUS", stage="load")
    text, _, _ = await answer(provider, PATIENT)
    assert text
    assert engines_started(home) == 1
    assert "crashed (SIGBUS)" in await restricted(provider)


async def test_what_failed_is_not_tried_again(provider, home, broken, monkeypatch):
    broken("extra")
    await answer(provider, PATIENT)
    known = {file.name: file.stat().st_mtime_ns for file in (home / "state" / "kernels").iterdir()}
    assert len(known) == 2, "one that fails, one that works"
    await provider.shutdown()
    await answer(provider, PATIENT)
    assert {file.name: file.stat().st_mtime_ns for file in (home / "state" / "kernels").iterdir()} == known


async def test_flash_attention_goes_after_rearranged_weights(provider, broken):
    broken("flash")
    await answer(provider, PATIENT)
    found = planned()
    assert (found.extra_buffers, found.flash_attention) == (False, False)
    assert "flash attention" in await restricted(provider)


async def test_where_nothing_computes_the_engine_lives_and_says_so(provider, home, broken):
    broken("all")
    with pytest.raises(EngineCrashed, match=r"even in its plainest configuration \(SIGILL\)"):
        await answer(provider, PATIENT)
    assert engines_started(home) == 1


async def test_with_nothing_broken_nothing_is_switched_off(provider):
    await answer(provider, PATIENT)
    assert await restricted(provider) == ""
    assert planned().extra_buffers


def test_a_damaged_result_counts_as_absent(home, broken):
    plan, facts = planned(), gguf.facts(store.locate(BUNDLED).path)
    kernels.keep(plan, facts, kernels.Result(works=False, why="crashed (SIGILL)"))
    assert not planned().extra_buffers
    for file in (home / "state" / "kernels").iterdir():
        file.write_bytes(b"\x00{half")
    assert planned().extra_buffers


def test_where_nothing_can_be_written_a_result_holds_for_the_process(home, monkeypatch):
    plan, facts = planned(), gguf.facts(store.locate(BUNDLED).path)
    (home / "state").mkdir(parents=True, exist_ok=True)
    (home / "state" / "kernels").write_text("a file where the directory should be")
    kernels.keep(plan, facts, kernels.Result(works=False, why="crashed (SIGILL)"))
    assert not planned().extra_buffers
    kernels.forget()
    assert planned().extra_buffers


def test_extra_buffers_can_be_switched_off_from_outside(home, monkeypatch):
    monkeypatch.setenv(kernels.SWITCH, "off")
    assert not planned().extra_buffers
    assert planned().restricted == ""


def test_doctor_tests_five_kinds_of_weights_and_says_what_is_off(home, broken):
    def kinds() -> dict[str, str]:
        from infill.cli.kernels import findings

        return {one.about: f"{one.verdict}: {one.detail}" for one in findings(again=False)}

    whole = kinds()
    assert list(whole) == ["f16 weights", "q8_0 weights", "q4_k weights", "q6_k weights", "q4_0 weights"]
    assert all(said.startswith("ok: computed rightly") and "tokens/s" in said for said in whole.values())
    kernels.forget()
    broken("extra")
    assert all("rearranged weights" in said and "SIGILL" in said for said in kinds().values())


# ---- crashes that a self-test missed


@pytest.mark.parametrize("how", ["SIGILL", "SIGSEGV", "SIGFPE", "SIGBUS", "SIGABRT"])
async def test_a_request_that_crashes_the_engine_is_answered_by_plainer_kernels(provider, home, broken, how):
    broken("engine:extra", how)
    text, _, _ = await answer(provider, PATIENT)
    assert text
    assert engines_started(home) == 2
    assert f"crashed the engine ({how})" in await restricted(provider)
    words = launch.last_words()
    assert words is not None and words.running
    assert not any("Fatal Python error" in line for line in words.lines)


async def test_a_crash_while_weights_are_loaded_is_answered_by_plainer_kernels(provider, home, broken):
    broken("engine:extra", "SIGABRT", stage="load")
    text, _, _ = await answer(provider, PATIENT)
    assert text
    assert engines_started(home) == 2
    assert "crashed the engine (SIGABRT)" in await restricted(provider)


async def test_the_engine_crashes_twice_at_most(provider, home, broken):
    broken("engine:all")
    with pytest.raises(EngineCrashed, match="SIGILL"):
        await answer(provider, PATIENT)
    words = launch.last_words()
    assert words is not None
    assert (words.signal, words.running) == ("SIGILL", False)
    for _ in range(3):
        with pytest.raises(EngineCrashed, match="in every configuration"):
            await answer(provider, PATIENT)
    assert len(provider._crashes) == 2


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV", "SIGILL"])
async def test_a_signal_from_outside_says_nothing_about_kernels(provider, home, how):
    """The signal stops the engine while nothing is computed."""
    await answer(provider, PATIENT)
    status = await provider.status()
    os.kill(status.pid, getattr(signal, how))
    await asyncio.to_thread(wait_for_end, provider)
    await answer(provider, PATIENT)
    assert planned().extra_buffers


def wait_for_end(local: LocalProvider) -> None:
    import time

    end = time.monotonic() + 20
    while launch.running() is not None:
        assert time.monotonic() < end
        time.sleep(0.01)


async def test_a_file_that_was_cut_short_is_not_taken_for_a_broken_kernel(provider, home, broken, tmp_path):
    """Reading a mapped file beyond its end also raises SIGBUS."""
    from infill.engine import crashes
    from infill.engine.crashes import Computing

    where = transport.place()
    where.directory.mkdir(parents=True)
    file = tmp_path / "cut.gguf"
    file.write_bytes(store.locate(BUNDLED).path.read_bytes()[:-100])
    said = 'Fatal Python error: Bus error\n\nThread 0x1 (most recent call first):\n  File "/x/infill/engine/llama.py", line 374 in _run\n'
    where.stderr_before.write_text(said)

    def crash_of(path: Path) -> None:
        import msgspec

        left = Computing(str(path), planned(), transport.file_identity(where.stderr_before))
        where.computing.write_bytes(msgspec.json.encode(left))
        crashes.learn(where)

    crash_of(file)
    assert planned().extra_buffers
    crash_of(store.locate(BUNDLED).path)
    assert not planned().extra_buffers
    assert not where.computing.exists()
