"""Calibrated probabilities: the temperature that is fitted, and how reliability is counted."""

from __future__ import annotations

import hashlib
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill import paths, state
from infill.models import calibration, checked
from infill.models.calibration import Line

LINES = st.lists(st.builds(Line, st.floats(-60, 0), st.booleans()), min_size=1, max_size=80)


def drawn(count: int, heat: float) -> list[Line]:
    """Lines that are right as often as exp(l / heat) says."""
    dice = random.Random(1)
    logprobs = [heat * math.log(dice.uniform(0.01, 1)) for _ in range(count)]
    return [Line(logprob, dice.random() < math.exp(logprob / heat)) for logprob in logprobs]


@pytest.mark.parametrize("heat", [0.6, 1.0, 2.5])
def test_the_temperature_of_a_model_is_found_and_makes_it_reliable(heat: float) -> None:
    lines = drawn(4000, heat)
    found = calibration.temperature(lines)
    assert found == pytest.approx(heat, rel=0.1)
    assert calibration.calibration_error(lines, found) < 0.02
    if heat != 1:
        assert calibration.calibration_error(lines) > 0.05


def test_few_lines_change_little() -> None:
    assert calibration.temperature(drawn(calibration.ENOUGH - 1, 2.5)) == 1.0
    assert 1.0 < calibration.temperature(drawn(60, 2.5)) < 3.5
    assert calibration.temperature([Line(-1.0, right=False)] * 50) > calibration.BOUNDS[0]


@given(LINES, st.floats(0.1, 10))
def test_bins_hold_every_line_once_and_the_error_is_a_share(lines: list[Line], heat: float) -> None:
    found = calibration.bins(lines, heat)
    assert len(found) == 10 and sum(one.lines for one in found) == len(lines)
    assert all(0 <= one.right_share <= 1 and 0 <= one.mean_probability <= 1 + 1e-9 for one in found)
    assert 0 <= calibration.calibration_error(lines, heat) <= 1


@given(LINES)
def test_a_temperature_is_finite_and_within_its_bounds(lines: list[Line]) -> None:
    low, high = calibration.BOUNDS
    assert low * 0.99 <= calibration.temperature(lines) <= high * 1.01


def test_the_result_that_ships_is_of_the_model_that_ships() -> None:
    shipped = state.read(paths.bundled_check(), dict)
    assert shipped is not None
    assert shipped["sha256"] == hashlib.sha256(paths.bundled_model().read_bytes()).hexdigest(), "measure again: `infill bench quality --confidence`"


def test_the_bundled_model_is_calibrated_without_a_check_and_other_files_are_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))
    found = checked.result(paths.bundled_model())
    assert found is not None and found.temperature != 1 and found.places > calibration.ENOUGH
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(paths.bundled_model().read_bytes())
    assert checked.result(copy) is None
