"""Traces: made from a file and a seed, and played to an editor without ever losing a character."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.bench import rhythm, trace, traces
from infill.bench.document import Change, Document
from infill.bench.metrics import percentile
from infill.bench.recorder import Recorder
from infill.bench.trace import Edit, Hole, Trace
from infill.bench.typist import Costs, Typist
from infill.errors import InfillError

SOURCE = "\n".join(f"def function_{number}(argument):\n    value = argument + {number}\n    return value * 2\n" for number in range(40))


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class Scripted:
    """An editor that suggests what it is told to: sometimes right, sometimes wrong."""

    name = "scripted"

    def __init__(self, suggest: object) -> None:
        self._suggest = suggest
        self.ghost = ""
        self.texts: list[str] = []

    async def open(self, document: Document) -> None:
        self.texts.append(document.text)

    async def edited(self, document: Document, change: Change) -> None:
        assert document.text[change.start : change.start + len(change.inserted)] == change.inserted
        self.texts.append(document.text)
        self.ghost = self._suggest(document)  # type: ignore[operator]

    async def moved(self, document: Document) -> None:
        self.ghost = ""

    async def accept(self, document: Document) -> None:
        document.type(self.ghost)
        self.ghost = ""

    async def close(self) -> Costs:
        return Costs()


async def play(played: Trace, editor: Scripted) -> tuple[Typist, Recorder]:
    clock = Clock()
    recorder = Recorder(clock)
    typist = Typist(played, editor, recorder, clock.sleep, clock)
    await typist.play()
    return typist, recorder


def test_the_same_seed_makes_the_same_trace() -> None:
    assert rhythm.make_trace(SOURCE, "a.py", 5) == rhythm.make_trace(SOURCE, "a.py", 5)
    assert rhythm.make_trace(SOURCE, "a.py", 5) != rhythm.make_trace(SOURCE, "a.py", 6)


def test_the_rhythm_is_that_of_a_person() -> None:
    made = [edit for seed in range(6) for edit in rhythm.make_trace(SOURCE, "a.py", seed, 600).edits]
    waits = [edit.wait for edit in made]
    letters = [edit for edit in made if edit.kind == "type" and edit.text.isalpha()]
    assert 100 < percentile(waits, 0.5) < 220
    assert 0.05 < sum(wait >= 400 for wait in waits) / len(waits) < 0.3
    assert 0.015 < sum(edit.slip for edit in letters) / len(letters) < 0.05
    assert {"type", "delete", "jump", "accept"} == {edit.kind for edit in made}


def test_a_file_that_is_too_short_is_refused_with_a_sentence() -> None:
    with pytest.raises(InfillError, match="too short"):
        rhythm.make_trace("x = 1\n", "a.py")


async def test_a_played_trace_restores_the_file() -> None:
    editor = Scripted(lambda document: "")
    await play(rhythm.make_trace(SOURCE, "a.py", 3), editor)
    assert editor.texts[0] != SOURCE
    assert editor.texts[-1] == SOURCE


@pytest.mark.parametrize("right", [0, 1, 3, 7, 500])
async def test_accepting_right_and_wrong_suggestions_restores_the_file_too(right: int) -> None:
    made = rhythm.make_trace(SOURCE, "a.py", 4)
    dice = random.Random(right)
    held: list[Typist] = []

    def suggest(document: Document) -> str:
        true = held[0].upcoming() if held else ""
        return true[:right] + ("" if right == 500 else dice.choice(["", "wrong", "\n    wrong"]))

    clock = Clock()
    recorder = Recorder(clock)
    editor = Scripted(suggest)
    held.append(Typist(made, editor, recorder, clock.sleep, clock))
    await held[0].play()
    assert held[0].document.text == SOURCE
    accepted = [moment for moment in recorder.moments if moment.what == "accepted"]
    assert accepted
    if right == 500:
        assert all(moment.worth for moment in accepted)


async def test_keys_fall_when_they_are_due() -> None:
    made = rhythm.make_trace(SOURCE, "a.py", 8)
    _, recorder = await play(made, Scripted(lambda document: ""))
    keys = [moment.at for moment in recorder.moments if moment.what in ("key", "jump")]
    waited = sum(edit.wait for edit in made.edits[1:]) / 1000
    assert keys[-1] - keys[0] == pytest.approx(waited, abs=0.001)


async def test_what_is_shown_is_worth_what_the_author_types_next() -> None:
    played = Trace(name="a.py", text="", holes=(Hole(0, "abc"),), edits=(Edit(wait=1, kind="type", text="a", done=1),))
    typist, recorder = await play(played, Scripted(lambda document: ""))
    recorder.shown("bX")
    assert recorder.moments[-1].worth == 1
    assert typist.upcoming() == "bc"


def test_a_trace_survives_being_written_and_read(tmp_path: Path) -> None:
    made = rhythm.make_trace(SOURCE, "a.py", 9)
    trace.save(made, tmp_path / "trace.json")
    assert trace.load(tmp_path / "trace.json") == made


def test_what_is_no_trace_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "trace.json").write_text("{}")
    with pytest.raises(InfillError, match="is not a trace"):
        trace.load(tmp_path / "trace.json")


def test_the_trace_that_comes_with_the_bench_is_long_enough() -> None:
    shipped = traces.default()
    assert shipped.seconds > 120
    assert sum(edit.wait >= 400 for edit in shipped.edits) > 50
    assert sum(edit.kind == "accept" for edit in shipped.edits) >= 20


@given(st.text(max_size=40), st.integers(0, 40))
def test_positions_count_as_lsp_does(text: str, at: int) -> None:
    document = Document("a", "b", text.replace("\r", " "))
    offset = min(at, len(document.text))
    assert document.offset(document.position(offset)) == offset
