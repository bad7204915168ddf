"""What the tests of the house look at: the files of this repository."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("server", "clients", "tests", "docs")
NOT_OURS = {"node_modules", "__pycache__", "dist", "build", "out", ".venv", ".hypothesis", ".pytest_cache", "artefacts"}
"""Folders with what was installed or made, never written by hand."""


def _ours(folder: Path) -> list[Path]:
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink() and entry.name not in NOT_OURS:
            found += _ours(entry)
        elif entry.is_file():
            found.append(entry)
    return found


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Every file of the project, whether committed yet or not."""
    return [file for room in ROOMS if (ROOT / room).is_dir() for file in _ours(ROOT / room)] + [f for f in sorted(ROOT.iterdir()) if f.is_file()]


@pytest.fixture(scope="session")
def python_files(files: list[Path]) -> list[Path]:
    """Those written in Python; the examples are unfinished on purpose."""
    return [file for file in files if file.suffix == ".py" and ROOT / "docs" / "examples" not in file.parents]
