"""The bench on the real server and engine: a few seconds of typing, and one engine driven without an editor."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from infill.bench import figures, generating, metrics, rhythm, table, trace
from infill.bench.drive import engine
from infill.bench.ours import InfillEditor, settings_for
from infill.bench.quality import quality
from infill.bench.recorder import Recorder
from infill.bench.typist import Typist
from infill.bench.weights import home, prefix_first, weights
from infill.cli import app
from infill.engine import launch
from infill.settings import Engine, Latency

SOURCE = "\n".join(f"def function_{number}(argument):\n    value = argument + {number}\n    return value * 2\n" for number in range(40))


@pytest.mark.slow
async def test_a_trace_is_played_to_the_real_server_and_leaves_nothing_behind() -> None:
    bundled = weights("bundled")
    with home(bundled) as folder:
        recorder = Recorder()
        editor = InfillEditor(folder, settings_for(bundled, None, None), recorder)

        async def until_answered(_: float) -> None:
            for _ in range(2000):
                if not editor.busy:
                    return
                await asyncio.sleep(0.005)
            pytest.fail("no answer came")

        typist = Typist(rhythm.make_trace(SOURCE, "a.py", 2, 60), editor, recorder, until_answered)
        try:
            await typist.play()
        finally:
            costs = await editor.close()
        assert launch.running() is None
    found = metrics.figures(recorder.moments)
    assert typist.document.text == SOURCE
    assert found.failed == 0
    assert found.asked == found.keys + found.accepts + len([moment for moment in recorder.moments if moment.what == "undone"])
    assert found.latency.count > 0
    assert set(costs.processes) == {"server", "engine"}
    assert costs.tokens_evaluated > sum(moment.evaluated for moment in recorder.moments)
    assert costs.tokens_generated > 0
    # of an answer that still grows when it is shown, the moment knows no count
    assert costs.tokens_generated >= sum(moment.generated for moment in recorder.moments)
    assert not folder.exists()


@pytest.mark.slow
async def test_an_engine_is_driven_without_an_editor_and_gone_afterwards() -> None:
    async with engine(weights("bundled"), Engine()) as driven:
        asked = await driven.ask("def add(one, other):\n    return ", "\n", tokens=8)
        assert asked.done.timings.tokens_generated == 8
        pid = driven.client.pid
    assert pid > 0
    assert not driven.folder.exists()


@pytest.mark.slow
async def test_writing_code_is_measured_through_the_editor_and_beside_llama_bench_where_that_was_built() -> None:
    first, cancelled, speed = await generating.rows(weights("bundled"), 3, None, lambda _: None)
    assert first.measured > 1
    assert cancelled.measured > 0 or cancelled.unknown
    assert "llama-bench has not been built" in speed.unknown
    assert launch.running() is None


@pytest.mark.slow
async def test_how_long_a_token_takes_is_known_before_anything_is_cancelled() -> None:
    row = await figures.cancel_to_idle(weights("bundled"), 1)
    told = re.search(r"one token takes ([\d.]+) ms", row.note)
    assert told and 0 < float(told[1]) < 100
    assert launch.running() is None


@pytest.mark.slow
async def test_the_window_in_which_keys_are_counted_is_as_large_as_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "WINDOW_CHARACTERS", (1500, 500))
    monkeypatch.setattr(table, "Latency", lambda: Latency(target=10))  # with which the window is far too small on any machine
    (row,) = await table.evaluated_per_key(weights("bundled"), lambda _: None, 500)
    window, target = (int(found.replace(",", "")) for found in re.findall(r"window of ([\d,]+) tokens.* was (\d+) ms", row.note)[0])
    assert window >= 500 and target > 10
    assert not row.unknown and row.met
    (small,) = await table.evaluated_per_key(weights("bundled"), lambda _: None, 5000)
    assert small.unknown == "the window would not hold 5,000 tokens"


@pytest.mark.slow
async def test_quality_is_measured_for_weights_that_are_asked_prefix_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))
    found = await quality(prefix_first(), "prefix first", [SOURCE], 2, lambda _: None)
    assert found.positions == 2
    assert 0 <= found.same <= 2
    assert found.evaluated_per_key < 100


def test_make_trace_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text(SOURCE)
    assert app.run(["bench", "make-trace", str(tmp_path / "a.py"), "--to", str(tmp_path / "t.json"), "--characters", "100"]) == 0
    assert "characters in" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "language"), [("a.rs", "rust"), ("a.PY", "python"), ("Makefile", "plaintext"), ("a.zig", "zig")])
def test_a_trace_is_played_in_the_language_of_its_file(name: str, language: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SOURCE)
    assert app.run(["bench", "make-trace", str(tmp_path / name), "--to", str(tmp_path / "t.json"), "--characters", "100"]) == 0
    assert trace.load(tmp_path / "t.json").language == language


def test_without_the_peer_the_next_step_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))
    monkeypatch.delenv("INFILL_BENCH_LLAMA", raising=False)
    assert app.run(["bench", "typing", "--peer"]) == 1
    assert "infill bench build-peer" in capsys.readouterr().err
