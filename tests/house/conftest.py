"""Fixtures of the project's rule tests: the files of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("server", "clients", "tests", "docs")
NOT_OURS = {"node_modules", "__pycache__", "dist", "build", "out", ".venv", ".hypothesis", ".pytest_cache", "artefacts"}
"""Folders with installed or generated files."""


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
    """All files of the project, committed or not."""
    return [file for room in ROOMS if (ROOT / room).is_dir() for file in _ours(ROOT / room)] + [f for f in sorted(ROOT.iterdir()) if f.is_file()]


@pytest.fixture(scope="session")
def python_files(files: list[Path]) -> list[Path]:
    """All Python files except the examples, which are unfinished on purpose."""
    return [file for file in files if file.suffix == ".py" and ROOT / "docs" / "examples" not in file.parents]
