"""A document edited hundreds of times: how edits are made, how two distributions are compared, and what is told of it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.bench import edits, quality
from infill.bench.edits import Edited
from infill.bench.quality import Quality
from infill.bench.weights import prefix_first, weights
from infill.cli import app
from infill.engine import launch

TEXT = "def add(one, other):\n    return one + other\n" * 8


@pytest.fixture
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))


@given(st.integers(0, 10_000))
def test_the_cursor_stays_in_the_text_however_often_it_is_edited(seed: int) -> None:
    dice, text, cursor = random.Random(seed), TEXT, 40
    for _ in range(30):
        before, (text, cursor) = text, edits.edited(text, cursor, dice)
        assert 0 <= cursor <= len(text)
        assert abs(len(text) - len(before)) <= 40


def test_the_same_distribution_does_not_diverge_and_another_one_does() -> None:
    fresh = np.log(np.array([0.5, 0.25, 0.25], np.float32))
    assert edits.divergence(fresh, fresh + 3) == pytest.approx(0, abs=1e-6)
    other = np.log(np.array([0.25, 0.5, 0.25], np.float32))
    assert edits.divergence(fresh, other) == pytest.approx(0.25 * np.log(2), abs=1e-6)


def test_the_rows_of_a_long_day_have_agreement_and_divergence() -> None:
    one = Edited(model="m", order="prefix first", edits=400, agreed=391, moves=180, divergence=0.0017, divergence_most=0.057)
    agreed, diverged = edits.rows([one])
    assert (agreed.measured, agreed.target, agreed.met) == (97.8, 98, False)
    assert agreed.note == "391 of 400; something was moved in 180 of them"
    assert (diverged.measured, diverged.unit, diverged.met, diverged.note) == (0.0017, "nats", True, "0.057 nats at most")


@pytest.mark.parametrize(("same", "met"), [(98, True), (97, False)])
def test_greedy_first_lines_have_to_agree_in_98_of_100_places_in_either_order(same: int, met: bool) -> None:
    found = [
        Quality(model="m", order=order, positions=100, same=same, right_fresh=5, right_moved=5, logprob_difference=0.1, evaluated_per_key=2)
        for order in ("suffix first", "prefix first")
    ]
    lines = [row for row in quality.rows(found) if row.what.startswith("greedy first lines")]
    assert [(row.target, row.met) for row in lines] == [(98, met), (98, met)]


@pytest.mark.slow
@pytest.mark.usefixtures("_own_home")
def test_edits_of_a_document_are_compared_with_fresh_evaluations_of_it() -> None:
    found = edits.edits(prefix_first(), "prefix first", 24, lambda _: None)
    assert found.edits == 24 and found.moves > 0
    assert found.agreed >= 22
    assert 0 < found.divergence < 0.01 and found.divergence <= found.divergence_most


@pytest.mark.slow
@pytest.mark.usefixtures("_own_home")
def test_what_was_never_moved_is_what_a_fresh_evaluation_gives() -> None:
    with edits._loaded(weights("bundled")) as (runtime, fresh):
        tokens, logits = edits._asked(runtime, TEXT[:100], TEXT[100:200])
        assert edits.divergence(fresh.logits(tokens), logits) < 1e-6
        assert edits.divergence(fresh.logits(tokens[:-9]), logits) > 0.01


@pytest.mark.slow
@pytest.mark.usefixtures("_own_home")
def test_in_a_half_typed_word_the_choice_is_among_what_agrees_with_it() -> None:
    with edits._loaded(weights("bundled")) as (runtime, fresh):
        prefix = "def add(one, other):\n    ret"
        _, logits = edits._asked(runtime, prefix, "\n")
        (other,) = runtime._model.tokenize("x")
        logits = logits.copy()
        logits[other] = logits.max() + 50
        assert fresh.choice(logits, f"{prefix}\n") == other
        assert runtime._model.piece(fresh.choice(logits, prefix)).strip().startswith(b"ret")


@pytest.mark.slow
@pytest.mark.usefixtures("_own_home")
def test_quality_is_told_for_places_and_for_edits_in_both_orders(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["bench", "quality", "--positions", "2", "--edits", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["order"], one["positions"]) for one in told["positions"]] == [("suffix first", 2), ("prefix first", 2)]
    assert [(one["order"], one["edits"]) for one in told["edits"]] == [("suffix first", 3), ("prefix first", 3)]
    assert launch.running() is None
