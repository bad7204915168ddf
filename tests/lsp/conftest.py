"""The real server, with the real engine and the bundled model. All started processes are stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pytest_lsp import LanguageClient, make_test_lsp_client
from real_editor import SERVER, Editor, NewEditor

from eager import show_everything
from infill.engine import transport


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short path, because the length of a socket's name is limited."""
    directory = Path(tempfile.mkdtemp(prefix="inf-", dir="/tmp"))
    monkeypatch.setenv("INFILL_HOME", str(show_everything(directory)))
    yield directory
    if (status := transport.read_status(transport.place())) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(status.pid, signal.SIGKILL)
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError):
            path.chmod(0o700)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
async def new_editor(home: Path) -> AsyncIterator[NewEditor]:
    """Starts a server; with `start=False` without the `initialize` request."""
    clients: list[LanguageClient] = []

    async def make(*, start: bool = True, command: Sequence[str] = SERVER, **initialize: Any) -> Editor:
        client = make_test_lsp_client()
        clients.append(client)
        await client.start_io(*command, env=dict(os.environ))
        editor = Editor(client, home)
        if start:
            await editor.start(**initialize)
        return editor

    yield make
    for client in clients:
        with contextlib.suppress(Exception):  # a server that a test has killed cannot respond to shutdown
            await asyncio.wait_for(client.shutdown_session(), 5)
        if client._server is not None and client._server.returncode is None:
            client._server.kill()
        await client.stop()


@pytest.fixture
async def editor(new_editor: NewEditor) -> Editor:
    return await new_editor()
