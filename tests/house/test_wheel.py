"""The wheel contains everything that runs, and neither tests nor training code."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from hatchling import build


@pytest.fixture(scope="module")
def names(root: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder, before = tmp_path_factory.mktemp("wheel"), Path.cwd()
    os.chdir(root)
    try:
        wheel = folder / build.build_wheel(str(folder))
    finally:
        os.chdir(before)
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_the_model_and_the_catalogue(names: set[str]) -> None:
    assert {"infill/data/infill-tiny.gguf", "infill/data/models.toml", "infill/py.typed", "infill/engine/__main__.py"} <= names


def test_the_wheel_has_no_tests_and_no_training(names: set[str]) -> None:
    folders = {name.split("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"infill"}
