"""One home, and so one engine, for all tests of the command line; what was started is ended."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Shell


@pytest.fixture(scope="session")
def shell() -> Iterator[Shell]:
    # a socket's name must not be long, and pytest's own folders are
    directory = Path(tempfile.mkdtemp(prefix="inf-"))
    (directory / "code").mkdir()
    one = Shell(directory / "home", directory / "code")
    yield one
    one.run("engine", "stop")
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def fresh(shell: Shell, tmp_path: Path) -> Shell:
    """A home in which nothing ever ran; for commands that start no engine."""
    return Shell(tmp_path / "home", tmp_path)
