"""Providers asked over real HTTP on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import KEY

from infill import paths
from infill.engine import launch


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home of its own for each test; an engine that was started in it is ended with it."""
    monkeypatch.setenv("INFILL_HOME", str(tmp_path / "home"))
    for name in (*(f"{scheme}_{word}" for scheme in ("HTTP", "HTTPS", "ALL", "NO") for word in ("PROXY",)), "INFILL_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield
    if (engine := launch.running()) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(engine.pid, signal.SIGTERM)


@pytest.fixture(scope="session")
def llama_cpp_python() -> Iterator[str]:
    """llama-cpp-python's own OpenAI-compatible server, with the bundled model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [
        "--model",
        str(paths.bundled_model()),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--n_ctx",
        "768",
        "--api_key",
        KEY,
        "--model_alias",
        "tiny",
    ]
    environment = {name: value for name, value in os.environ.items() if name.isupper() and not name.startswith(("HOST", "PORT", "MODEL"))}
    command = [sys.executable, "-W", "ignore", "-m", "llama_cpp.server", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as server:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and server.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)  # a bounded poll: the server tells nobody that it is up
        yield f"http://127.0.0.1:{port}"
        server.terminate()
