"""From an installed model to a plan here: what tuning found counts, and no model crawls for the sake of another."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_gguf import small_gguf
from test_fit import machine

from infill.errors import DoesNotFit
from infill.models import hardware, planning
from infill.models.fit import Plan
from infill.models.machine import Machine
from infill.models.store import ModelFile
from infill.settings import Engine


def model(tmp_path: Path, name: str, megabytes: int) -> ModelFile:
    """A file that says it is that large, without taking the room."""
    file = tmp_path / f"{name}.gguf"
    whole = small_gguf(layers=1, filler=megabytes * 1_000_000)
    file.write_bytes(whole)
    return ModelFile(id=f"local:{name}", title=name, path=file)


def here(monkeypatch: pytest.MonkeyPatch, where: Machine) -> None:
    monkeypatch.setattr(hardware, "machine", lambda fresh=False: where)


def test_a_model_that_gets_the_whole_gpu_once_another_goes_does_not_fit_beside_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = model(tmp_path, "first", 40), model(tmp_path, "second", 40)
    here(monkeypatch, machine(16, 10, gpus=[(0.90, 0.78)]))  # the first one takes some of it already
    squeezed = planning.plan_for(second, Engine()).plan
    assert squeezed is not None
    assert squeezed.gpu_layers != -1
    assert not planning.fits_beside(second, squeezed, [first])
    assert planning.fits_beside(second, squeezed)


def test_without_a_gpu_only_memory_counts(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = model(tmp_path, "first", 1), model(tmp_path, "second", 1)
    here(monkeypatch, machine(16, 10))
    assert planning.fits_beside(second, Plan(), [first])
    here(monkeypatch, machine(16, 0.5))
    assert not planning.fits_beside(second, Plan(), [first])


def test_what_is_too_big_is_refused_with_its_arithmetic(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, machine(1.05, 0.9))
    with pytest.raises(DoesNotFit, match=r"does not fit on this machine\. too big: .* weights"):
        planning.plan_for(model(tmp_path, "big", 1), Engine())


def test_stepping_down_is_asked_of_the_file(home: Path, tmp_path: Path) -> None:
    step = planning.step_down(model(tmp_path, "m", 1), Plan(context=8192), Engine())
    assert step is not None
    assert step[0].context == 4096
