"""Two sides in one run: who is measured when, and what is printed of it. The sides are stubs that suggest something after every key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infill.bench import trace, typing, typist
from infill.bench.document import Change, Document
from infill.bench.recorder import Recorder
from infill.bench.trace import Edit, Hole, Trace
from infill.bench.typing import Wishes
from infill.bench.typist import Costs
from infill.bench.weights import weights
from infill.cli import app

PLAYED = Trace(
    name="a.py",
    text="",
    holes=(Hole(0, "abc"),),
    edits=tuple(Edit(wait=2, kind="type", text="abc"[at], done=at + 1) for at in range(3)),
)
EVALUATED = {"infill": 40, "llama-server": 400}


class Stub:
    """An editor whose suggestions come with the key; it notes when it was closed."""

    def __init__(self, side: str, recorder: Recorder, closed: list[str]) -> None:
        self.name, self._recorder, self._closed = side, recorder, closed
        self.ghost = ""

    async def open(self, document: Document) -> None:
        if document.name == "broken.py":
            raise OSError("the side did not start")

    async def edited(self, document: Document, change: Change) -> None:
        self._recorder.note("asked")
        self._recorder.shown("bc")
        self._recorder.note("cost", source="model", evaluated=3)

    async def moved(self, document: Document) -> None:
        raise AssertionError("nobody jumps here")

    async def accept(self, document: Document) -> None:
        raise AssertionError("nothing is accepted here")

    async def close(self) -> Costs:
        self._closed.append(self.name)
        return Costs(tokens_evaluated=EVALUATED[self.name])


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sides that were played and closed, in that order."""
    names: list[str] = []

    def stub(side: str, measured: object, folder: Path, recorder: Recorder, wishes: Wishes) -> Stub:
        return Stub(side, recorder, names)

    monkeypatch.setattr(typing, "_editor", stub)
    monkeypatch.setattr(typist, "SETTLE_MS", 0.0)
    monkeypatch.setattr(typist, "LOOK_MS", 0.0)
    return names


async def test_the_sides_take_turns_in_going_first(closed: list[str]) -> None:
    compared = await typing.compare(weights("bundled"), PLAYED, Wishes(runs=3, peer="llama-server"), lambda _: None)
    assert closed == ["infill", "llama-server", "llama-server", "infill", "infill", "llama-server"]
    assert [run.number for run in compared.of("llama-server")] == [1, 2, 3]
    assert all(run.figures.keys == 3 for run in compared.runs)


async def test_without_a_peer_infill_is_measured_alone(closed: list[str]) -> None:
    await typing.compare(weights("bundled"), PLAYED, Wishes(runs=2), lambda _: None)
    assert closed == ["infill", "infill"]


async def test_a_side_that_fails_is_closed_all_the_same(closed: list[str]) -> None:
    broken = Trace(name="broken.py", text="", holes=PLAYED.holes, edits=PLAYED.edits)
    with pytest.raises(OSError, match="did not start"):
        await typing.compare(weights("bundled"), broken, Wishes(runs=1), lambda _: None)
    assert closed == ["infill"]


def printed(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    (tmp_path / "llama-server").touch(mode=0o755)
    monkeypatch.setenv("INFILL_BENCH_LLAMA", str(tmp_path))
    trace.save(PLAYED, tmp_path / "t.json")
    assert app.run(["bench", "typing", "--peer", "--runs", "2", "--trace", str(tmp_path / "t.json"), *words]) == 0
    return capsys.readouterr().out


def test_as_json_every_figure_has_its_sides_and_its_ratio(
    closed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: dict[str, Any] = json.loads(printed(["--json"], tmp_path, monkeypatch, capsys))
    assert len(closed) == 4
    lines = told["figures"]["bundled"]
    assert len({line["what"] for line in lines}) == len(lines)
    found = {line["what"]: line for line in lines}
    assert found["All prompt tokens evaluated, for whomever"] == {
        "what": "All prompt tokens evaluated, for whomever", "sides": {"infill": 40, "llama-server": 400}, "ratio": 10,
    }  # fmt: skip
    assert found["Requests sent"]["sides"] == {"infill": 3, "llama-server": 3}
    assert found["New ghost text after the last key, median"]["ratio"] > 0
    assert [run["side"] for run in told["comparisons"][0]["runs"]] == ["infill", "llama-server", "llama-server", "infill"]


def test_for_people_the_ratio_stands_beside_both_sides(
    closed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [line.split("\t") for line in printed([], tmp_path, monkeypatch, capsys).splitlines()]
    assert ["All prompt tokens evaluated, for whomever", "40", "400", "10.0 x"] in rows
    assert len(closed) == 4
