"""A separate engine for each test: its files are in a separate directory, and all started processes are stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from questions import BUNDLED

from infill.engine import launch
from infill.providers.local import LocalProvider
from infill.settings import Settings


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short path, because the length of a socket's name is limited."""
    directory = Path(tempfile.mkdtemp(prefix="inf-", dir="/tmp"))
    monkeypatch.setenv("INFILL_HOME", str(directory))
    yield directory
    if (engine := launch.running()) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(engine.pid, signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
async def provider(home: Path) -> AsyncIterator[LocalProvider]:
    local = LocalProvider(Settings(), lambda: BUNDLED)
    yield local
    await local.aclose()
