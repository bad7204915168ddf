"""Connects to the one engine of this user, or starts it as a detached process, so that it outlives the editor that started it.

    look for the socket -> take the start lock -> look again -> start the process -> wait for its response to the handshake

If a directory belongs to another user or is not writable, the error states that. Requests to the engine are not handled in this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from infill import paths
from infill.engine import advice, exits, transport
from infill.engine.client import EngineClient, OnChanged
from infill.engine.transport import Lock, Place
from infill.errors import EngineCrashed, InfillError, ProviderUnavailable
from infill.models import child, library, processor

START = 30.0
"""Seconds that a start may take: on a machine that is swapping, Python's start alone is slow."""
POLL = 0.015
LINES = 100
"""Number of last lines kept for the user."""
DETACHED = 0x00000008 | 0x00000200
"""DETACHED_PROCESS, CREATE_NEW_PROCESS_GROUP: the engine survives the end of the editor's console, and its Ctrl-C."""
BREAKAWAY = 0x01000000
"""CREATE_BREAKAWAY_FROM_JOB: the engine survives the end of the editor's job object. If the job forbids it, Windows does not create the process."""
CREATION_FLAGS = (DETACHED | BREAKAWAY, DETACHED) if sys.platform == "win32" else (0,)
"""Flags of CreateProcess, in the order in which they are tried."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A running engine."""

    pid: int
    started: float


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that an engine wrote to its stderr."""

    lines: list[str]
    written: float
    """Time of the last write, in seconds since 1970."""
    signal: str = ""
    """The signal that ended it, if it could still report that."""
    running: bool = False
    """They are from the engine that is running now."""
    file: tuple[int, int] = (0, 0)


class Engine:
    """The engine's process, as seen by a client."""

    def __init__(self, where: Place) -> None:
        self._where = where
        self._exit_code: int | None = None
        self.over = threading.Event()
        """Set when a process started by this client has ended."""

    def start(self) -> None:
        """Start the process. Raises OSError."""
        self._keep_last_words()
        with open(self._where.stderr, "ab") as stderr:  # noqa: PTH123 - its descriptor is what is needed
            *first, last = CREATION_FLAGS
            process = next(filter(None, (self._try(stderr, flags) for flags in first)), None) or self._spawn(stderr, last)
        threading.Thread(target=self._wait, args=(process,), name="engine's end", daemon=True).start()

    def _try(self, stderr: BinaryIO, flags: int) -> subprocess.Popen[bytes] | None:
        with contextlib.suppress(PermissionError):
            return self._spawn(stderr, flags)
        return None

    def _spawn(self, stderr: BinaryIO, flags: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "infill.engine"],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            # not the editor's folder: `-m` would import a file llama_cpp.py of a cloned repository from there
            cwd=self._where.directory,
            env=child.environment(),
            start_new_session=True,
            creationflags=flags,
        )

    @property
    def gave_way(self) -> bool:
        """It exited because another engine was running."""
        return self._exit_code == transport.ALREADY_RUNNING

    def obituary(self) -> EngineCrashed:
        return advice.crashed(last_lines(self._where), self._exit_code, processor.missing(library.features()))

    def kill(self, pid: int) -> None:
        """Kill an engine that does not respond, if that process is an engine."""
        if pid and _is_engine(pid):
            with contextlib.suppress(OSError):
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def _keep_last_words(self) -> None:
        with contextlib.suppress(OSError):
            os.replace(self._where.stderr, self._where.stderr_before)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for the exit code, so that no zombie process remains while the editor runs."""
        self._exit_code = process.wait()
        self.over.set()


async def connect_or_start(client: str, on_changed: OnChanged | None = None) -> EngineClient:
    """Connect to the engine; start it if none is running. Raises ProviderUnavailable or EngineCrashed."""
    where = transport.place()
    try:
        paths.private_directory(where.directory)
        if (found := await _connect(where, client, on_changed)) is not None:
            return found
        async with _start_lock(where):
            if (found := await _connect(where, client, on_changed)) is not None:
                return found
            engine = Engine(where)
            await asyncio.to_thread(engine.start)
            return await _await_start(where, engine, client, on_changed)
    except OSError as exc:
        raise ProviderUnavailable(
            f"The engine cannot be started: {exc.strerror or exc} ({where.directory}).", "Make room, or set INFILL_HOME to a directory of your own."
        ) from exc
    except InfillError as exc:
        if isinstance(exc, ProviderUnavailable | EngineCrashed):
            raise
        raise ProviderUnavailable(exc.message, exc.hint) from exc


async def connect(client: str, on_changed: OnChanged | None = None) -> EngineClient | None:
    """Connect to the engine if one is running; never starts it. Raises ProviderUnavailable if it refuses the connection."""
    return await _connect(transport.place(), client, on_changed)


def running() -> Running | None:
    """The running engine's process, or None. Neither starts the engine nor sends it a request."""
    where = transport.place()
    if not transport.engine_lives(where):
        return None
    status = transport.read_status(where)
    return Running(pid=status.pid, started=status.started) if status is not None else None


def last_lines(where: Place | None = None) -> list[str]:
    """The last lines on stderr of the engine that was started last; if it wrote none, of the previous one."""
    return next((words.lines for words in _words(where or transport.place())), [])


def last_words() -> Words | None:
    """The engine output to show: the running engine's own, else that of the previous engine if it crashed or none is running."""
    where = transport.place()
    alive = running()
    status = transport.read_status(where) if alive else None
    for words in _words(where):
        if status is not None and words.file == status.stderr:
            return replace(words, running=not words.signal)  # it may exit shortly after the signal
        if words.signal or alive is None:
            return words
    return None


def _words(where: Place) -> Iterator[Words]:
    for path in (where.stderr, where.stderr_before):
        with contextlib.suppress(OSError):
            if lines := _tail(path):
                signal = exits.signal_said(lines)
                yield Words(lines=lines, written=path.stat().st_mtime, signal=signal, file=transport.file_identity(path))


async def _connect(where: Place, name: str, on_changed: OnChanged | None) -> EngineClient | None:
    try:
        connection, token = await transport.connect(where)
    except (OSError, InfillError):
        return None
    if transport.is_another_user(connection.peer_user()):
        connection.abort()
        raise ProviderUnavailable("The engine's socket belongs to another user.", f"Remove {where.directory}.")
    engine = Engine(where)
    client = EngineClient(connection, engine, on_changed)
    try:
        await client.greet(name, token)
    except ConnectionError:
        connection.abort()
        return None
    except asyncio.TimeoutError:
        connection.abort()
        if (status := transport.read_status(where)) is not None:
            engine.kill(status.pid)
        return None
    except BaseException:
        connection.abort()
        raise
    return client


@contextlib.asynccontextmanager
async def _start_lock(where: Place) -> AsyncIterator[None]:
    """Hold the lock for starting an engine. Waits while another process holds it: the engine that it starts is used then."""
    lock = Lock(where.start_lock)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START
    while not lock.acquire():
        if loop.time() > deadline:
            raise ProviderUnavailable("Timed out waiting for another process to start the engine.", f"Remove {where.start_lock}.")
        await asyncio.sleep(POLL)
    try:
        yield
    finally:
        lock.release()


async def _await_start(where: Place, engine: Engine, name: str, on_changed: OnChanged | None) -> EngineClient:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START
    while loop.time() < deadline:
        ended = engine.over.is_set()
        if (found := await _connect(where, name, on_changed)) is not None:
            return found
        if ended and not engine.gave_way:
            raise engine.obituary()
        await asyncio.sleep(POLL)
    raise ProviderUnavailable("The engine does not start.", "Its last lines are in `infill engine status`.")


def _is_engine(pid: int) -> bool:
    """Whether the process is still an engine: process ids are reused."""
    import psutil

    try:
        return "infill.engine" in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - transport.WORDS_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[-LINES:]
    except OSError:
        return []
