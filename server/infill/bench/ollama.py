"""Ollama as the peer of `infill bench speed`: a private server on a free loopback port, with its models in a temporary folder.

The user's own Ollama, its models and its settings are not changed. The server and its runner are always killed at the end of the block, and every
wait has a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import psutil

from infill.bench.processes import group, runs
from infill.bench.weights import Weights
from infill.errors import InfillError, ProviderUnavailable
from infill.providers import setup
from infill.providers.dialect import Call
from infill.providers.http import Deadline
from infill.providers.remote import Remote
from infill.settings import Endpoint, Generate, Providers, Settings

VARIABLE = "INFILL_BENCH_OLLAMA"
MODEL = "bench"
ALIKE = {"use_mmap": True, "repeat_penalty": 1.0, "top_k": 1}
"""Options in addition to infill's: memory mapping as in the engine, and greedy decoding without a penalty."""
START_SECONDS = 30.0
CREATE_SECONDS = 180.0
"""Timeout in seconds for copying the model file into the store and computing its checksum."""
ANSWER_SECONDS = 300.0
"""Longest wait in seconds for one answer, loading the model included."""
END_SECONDS = 5.0
"""Longest wait in seconds for killed processes to end."""
LOOK_SECONDS = 0.05
EXCERPT = 300
"""Characters of Ollama's log in an error message."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as received by the client. Times are in seconds of the event loop's clock."""

    asked: float
    first: float
    """When the first text arrived."""
    last: float
    """When the last message arrived."""
    text: str
    tokens: int
    """Generated tokens, as counted by the server."""
    evaluated: int
    """Prompt tokens, as counted by the server; Ollama may include cached ones."""
    evaluate_ms: float = 0.0
    """Milliseconds of prompt processing, as reported by the server."""
    load_ms: float = 0.0
    """Milliseconds until the model was ready, as reported by Ollama: it looks up the model for every request."""


def program() -> Path | None:
    """The `ollama` program: from INFILL_BENCH_OLLAMA, else from the PATH; None if it is not installed."""
    found = os.environ.get(VARIABLE, "") or shutil.which("ollama")
    return Path(found).absolute() if found and Path(found).is_file() else None


def needed() -> Path:
    """The `ollama` program. Raises InfillError if it is not installed."""
    found = program()
    if found is None:
        named = os.environ.get(VARIABLE, "")
        missing = f"{VARIABLE} names no file: {named}." if named else "No `ollama` program was found on the PATH."
        raise InfillError(missing, f"Install Ollama, or set {VARIABLE} to the program; without --peer, infill is measured alone.")
    return found


class Ollama:
    """A running server with the compared model."""

    def __init__(self, remote: Remote, threads: int, version: str) -> None:
        self.remote = remote
        self.version = version
        self._threads = threads

    async def ask(self, call: Call) -> Answer:
        """Send a request as infill's provider `ollama` does, with the engine's threads and memory mapping. Raises ProviderError."""
        clock = asyncio.get_running_loop().time
        body = {**call.body, "options": {**call.body["options"], "num_thread": self._threads, **ALIKE}}
        asked, first, last, text, tokens, evaluated, evaluating, loading = clock(), 0.0, 0.0, "", 0, 0, 0, 0
        async with contextlib.aclosing(self.remote.line.messages(call.path, body, Deadline(ANSWER_SECONDS))) as messages:
            async for message in messages:
                piece = self.remote.dialect.read(message)
                last = clock()
                if piece.text or piece.reasoning:
                    first = first or last
                text += piece.reasoning + piece.text
                tokens, evaluated = piece.generated or tokens, piece.evaluated or evaluated
                evaluating = int(message.get("prompt_eval_duration") or evaluating)
                loading = int(message.get("load_duration") or loading)
        if not first:
            raise ProviderUnavailable("Ollama sent an answer without text.", "Run the comparison again, or choose another model.")
        return Answer(
            asked=asked,
            first=first,
            last=last,
            text=text,
            tokens=tokens,
            evaluated=evaluated,
            evaluate_ms=evaluating / 1e6,
            load_ms=loading / 1e6,
        )


@contextlib.asynccontextmanager
async def served(binary: Path, measured: Weights, threads: int, tokens: int) -> AsyncIterator[Ollama]:
    """Start `ollama serve` and give it the model file. On failure raises InfillError with the end of Ollama's log.

    `threads`: of the runner; `tokens`: the longest answer that will be requested.
    """
    with tempfile.TemporaryDirectory(prefix="infill-ollama-", ignore_cleanup_errors=True) as name:
        folder, port = Path(name), _free_port()
        environment = _environment(os.environ, folder, port)
        remote = _remote(port, measured, tokens)
        try:
            async with _serving(binary, environment, folder) as process:
                version = await _version(remote, process, folder)
                await _create(binary, environment, measured.path, folder)
                yield Ollama(remote, threads, version)
        finally:
            await remote.line.aclose()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _environment(ours: Mapping[str, str], folder: Path, port: int) -> dict[str, str]:
    """The environment with Ollama's settings replaced. Its home folder, in which it stores a key, is the temporary one."""
    kept = {key: value for key, value in ours.items() if not key.upper().startswith("OLLAMA_")}
    return {
        **kept,
        "HOME": str(folder),
        "USERPROFILE": str(folder),
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(folder / "models"),
        "OLLAMA_KEEP_ALIVE": "-1",
        "OLLAMA_NUM_PARALLEL": "1",
        "OLLAMA_NO_CLOUD": "1",
        "NO_PROXY": "127.0.0.1",
    }


def _remote(port: int, measured: Weights, tokens: int) -> Remote:
    """The infill provider for that server."""
    family = "infill" if measured.suffix_first else ""
    endpoint = Endpoint(kind="ollama", url=f"http://127.0.0.1:{port}", model=MODEL, family=family, timeout_ms=int(START_SECONDS * 1000))
    settings = Settings(providers=Providers(remote={MODEL: endpoint}), generate=Generate(max_tokens=tokens))
    return setup.remote(f"ollama:{MODEL}", settings)


@contextlib.asynccontextmanager
async def _serving(binary: Path, environment: dict[str, str], folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with (folder / "serve.log").open("ab") as log:
        process = await _started(binary, "serve", environment=environment, folder=folder, output=log)
        try:
            yield process
        finally:
            await _kill(process)


async def _started(binary: Path, *arguments: str, environment: dict[str, str], folder: Path, output: Any) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            str(binary),
            *arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    except OSError as exc:
        raise InfillError(
            f"{binary} cannot be started: {exc.strerror or exc}.", f"Install Ollama again, or set {VARIABLE} to another program."
        ) from exc


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill a process and its children: the runner of a killed or crashed Ollama would keep running."""
    ending = group(process.pid)
    for one in ending:
        with contextlib.suppress(psutil.Error):
            one.kill()
    await process.wait()
    await asyncio.to_thread(psutil.wait_procs, [one for one in ending if runs(one)], END_SECONDS)


async def _version(remote: Remote, process: asyncio.subprocess.Process, folder: Path) -> str:
    """Wait until the server replies. Returns its version."""
    deadline = Deadline(START_SECONDS)
    while True:
        with contextlib.suppress(ProviderUnavailable):
            return await remote.line.json("GET", "/api/version", deadline.at_most(1.0), lambda reply: str(reply["version"]))
        if process.returncode is not None:
            raise InfillError(f"`ollama serve` exited with status {process.returncode}.", f"Its log ends with: {_end_of(folder / 'serve.log')}")
        if deadline.left() <= 0:
            raise InfillError(f"`ollama serve` did not answer within {START_SECONDS:.0f} s.", f"Its log ends with: {_end_of(folder / 'serve.log')}")
        await asyncio.sleep(LOOK_SECONDS)


async def _create(binary: Path, environment: dict[str, str], model: Path, folder: Path) -> None:
    (folder / "Modelfile").write_text(f"FROM {model}\n", encoding="utf-8")
    with (folder / "create.log").open("ab") as log:
        process = await _started(binary, "create", MODEL, "-f", str(folder / "Modelfile"), environment=environment, folder=folder, output=log)
        try:
            status = await asyncio.wait_for(process.wait(), CREATE_SECONDS)
        except asyncio.TimeoutError as exc:
            raise InfillError(f"`ollama create` did not finish within {CREATE_SECONDS:.0f} s.", "Try a smaller model.") from exc
        finally:
            await _kill(process)
    if status:
        raise InfillError(f"`ollama create` exited with status {status}.", f"It printed: {_end_of(folder / 'create.log')}")


def _end_of(log: Path) -> str:
    """The last characters of a log as one line, without terminal control sequences."""
    try:
        said = log.read_bytes()[-4096:].decode("utf-8", "replace")
    except OSError:
        return "(no log)"
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", " ", said).split())[-EXCERPT:] or "(nothing)"
