"""Real servers for attacks; nothing of the user's own is read or written, and whatever was started is ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infill.engine import transport
from raw_editor import NewRawEditor, RawEditor


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    """One engine for all tests of a module. A short path: a socket's name must not be long."""
    directory = Path(tempfile.mkdtemp(prefix="inf-", dir="/tmp" if os.name == "posix" else None))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INFILL_HOME", str(directory))
        yield directory
        if (status := transport.read_status(transport.place())) is not None:
            with contextlib.suppress(OSError):
                os.kill(status.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def new_raw_editor(shared_home: Path) -> Iterator[NewRawEditor]:
    editors: list[RawEditor] = []

    def make(*words: str, **environment: Any) -> RawEditor:
        editors.append(RawEditor(*words, **environment))
        return editors[-1]

    yield make
    for editor in editors:
        editor.kill()
