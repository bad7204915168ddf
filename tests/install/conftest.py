"""Wheels of what is installed here, so that nothing is compiled or fetched from elsewhere, and an index on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli
from wheel_index import WheelIndex

import wheels


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def packed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of everything that infill and its build need."""
    folder = tmp_path_factory.mktemp("wheels")
    project = tomli.loads((root / "pyproject.toml").read_text("utf-8"))
    wheels.pack_all([*project["project"]["dependencies"], *project["build-system"]["requires"]], folder)
    return folder


@pytest.fixture(scope="session")
def llama_wheel(packed: Path) -> Path:
    (found,) = packed.glob("llama_cpp_python-*.whl")
    return found


@pytest.fixture(scope="session")
def infill_wheel(root: Path, packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is published."""
    folder = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--find-links", str(packed), "--wheel-dir", str(folder), str(root)]
    subprocess.run(pip, check=True, timeout=300)
    (found,) = folder.glob("infill_lsp-*.whl")
    return found


@pytest.fixture
def index() -> Iterator[WheelIndex]:
    with WheelIndex() as running:
        yield running
