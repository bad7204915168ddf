"""The real llama-server, built from llama-cpp-python's own sources by `infill bench build-peer`; skipped where that was not done."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator

import pytest
from asking import chain_of, gather, prompt

from infill import paths
from infill.ask import Instruction, Message, Snippet, Stop
from infill.bench import peer_build

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def llama_server() -> Iterator[str]:
    program = peer_build.program("llama-server")
    if program is None:
        pytest.skip("`infill bench build-peer` has not been run here")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "-c", "768", "-t", "1", "--spm-infill", "--no-warmup"]
    command = [str(program), "-m", str(paths.bundled_model()), *options]
    libraries = os.pathsep.join(filter(None, (str(program.parent), os.environ.get("LD_LIBRARY_PATH", ""))))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "LD_LIBRARY_PATH": libraries}) as server:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
                if reply.status == 200:
                    break
            time.sleep(0.05)  # a bounded poll: the server tells nobody that it is up
        yield f"http://127.0.0.1:{port}"
        server.terminate()


async def test_llama_server_completes_with_other_files_and_keeps_its_cache(llama_server: str) -> None:
    chain = chain_of("llamacpp", llama_server, timeoutMs=60_000)
    asked = prompt(snippets=(Snippet("util.py", "def twice(x):\n    return 2 * x\n"),), stop=Stop(max_tokens=8, deadline_ms=60_000))
    text, _, first = await gather(chain.complete(asked))
    _, _, second = await gather(chain.complete(asked))
    await chain.aclose()
    assert text.strip()
    assert first.timings.tokens_evaluated > second.timings.tokens_evaluated


async def test_llama_server_says_which_model_it_has_and_follows_instructions(llama_server: str) -> None:
    chain = chain_of("llamacpp", llama_server, timeoutMs=60_000)
    models = await chain.find("llamacpp:lab").models()  # type: ignore[union-attr]
    text, _, _ = await gather(
        chain.generate(Instruction(slot="g", messages=(Message("user", "hello"),), stop=Stop(max_tokens=8, deadline_ms=60_000)))
    )
    await chain.aclose()
    assert len(models) == 1
    assert text
