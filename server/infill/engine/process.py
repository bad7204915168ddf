"""The engine as a process: its lock, status file, signals and exit. Builds the server from its parts.

Handles the files in the runtime directory. If a directory is not writable, an error states that and the process exits.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import faulthandler
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import msgspec

from infill import paths, state
from infill.engine import crashes, transport, trial
from infill.engine.residents import Loading
from infill.engine.server import Server
from infill.engine.transport import EngineFile, Lock, Place
from infill.engine.worker import Loaded
from infill.errors import InfillError
from infill.log import LineFormatter, set_level
from infill.models import planning, store
from infill.models.fit import Plan
from infill.models.store import ModelFile
from infill.settings import Engine

LOCK_PATIENCE = 5.0
"""Seconds to wait for a previous engine that is exiting."""
STDERR_BYTES = 1024 * 1024
"""Maximum size of the stderr file."""
HUNG_EXIT = 70
M_MMAP_THRESHOLD = -3
"""From glibc's malloc.h."""
LARGE_BYTES = 1024 * 1024

log = logging.getLogger(__name__)


def main() -> int:
    """Run until the engine stops; returns the exit code."""
    faulthandler.enable()
    _log_to_stderr()
    where = transport.place()
    lock = Lock(where.life_lock)
    try:
        paths.private_directory(where.directory)
        if not _acquire(lock):
            log.warning("Another engine is running.")
            return transport.ALREADY_RUNNING
        crashes.learn(where)
        with contextlib.suppress(OSError):  # from a crashed engine: another program may use its port
            where.status.unlink(missing_ok=True)
        _prefer_to_die_first()
        _return_large_blocks()
        asyncio.run(_serve(where))
    except (InfillError, OSError) as exc:
        log.critical("The engine cannot run: %s", exc)
        return 1
    finally:
        _tidy(where, lock)
    # threads blocked in a driver, and llama.cpp's static destructors, must not delay the exit
    sys.stderr.flush()
    os._exit(0)


class LastWords(logging.StreamHandler[TextIO]):
    """Writes to the stderr file, and truncates it when it has grown too large."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            if os.fstat(2).st_size > STDERR_BYTES:
                os.ftruncate(2, 0)
        super().emit(record)


def _log_to_stderr() -> None:
    handler = LastWords(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.getLogger("infill").addHandler(handler)
    set_level("warning")
    logging.raiseExceptions = False  # reporting a failed log write on a full disk would fail too


async def _serve(where: Place) -> None:
    token = secrets.token_hex(32) if where.kind == "tcp" else ""
    server = Server(where, token, Loading(store.locate, plan, load, fits_beside, planning.step_down), lambda: os._exit(HUNG_EXIT))
    loop = asyncio.get_running_loop()
    if sys.platform != "win32":  # asyncio has no signal handlers there: the signal ends the process
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.leave, "it was told to by a signal")
    # this import takes most of the time of the first completion: it runs while the client sends its request
    threading.Thread(target=_import_llama, name="import", daemon=True).start()
    await server.run(lambda port: _announce(where, port, token))


def _announce(where: Place, port: int, token: str) -> None:
    """Write the status file. With a full disk a Unix socket still works; a TCP port could not be found."""
    content = msgspec.json.encode(EngineFile(pid=os.getpid(), started=time.time(), port=port, token=token, stderr=_stderr()))
    try:
        state.write_atomically(where.status, content)
    except OSError:
        if port:
            raise
        log.warning("The status file cannot be written.")


def _stderr() -> tuple[int, int]:
    with contextlib.suppress(OSError):
        return transport.file_identity(2)
    return (0, 0)


def _acquire(lock: Lock) -> bool:
    deadline = time.monotonic() + LOCK_PATIENCE
    while not lock.acquire():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _tidy(where: Place, lock: Lock) -> None:
    if lock.held:
        crashes.clear(where)
        for path in (where.socket, where.status):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        lock.release()


def _prefer_to_die_first() -> None:
    """Make the kernel kill this process rather than the editor when memory runs out: the engine restarts within seconds."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _return_large_blocks() -> None:
    """Make the C library return every large block when it is freed. By default it starts to keep them, and switching models fragments memory."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # exists in glibc only
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def _import_llama() -> None:
    try:
        from infill.engine import runtime  # noqa: F401
    except Exception:
        log.exception("llama.cpp cannot be imported.")


# ---- loading models


def load(model: ModelFile, plan: Plan, progress: Callable[[float], bool]) -> Loaded:
    """Load a model by a plan that passed the self-test on this machine. Imports llama.cpp, which is slow, only when called."""
    try:
        from infill.engine.runtime import Runtime
    except Exception as exc:
        raise InfillError(f"llama.cpp cannot be used on this machine: {exc}.", "`infill doctor` says more.") from exc
    used = trial.verified(model, plan, progress)

    def announce() -> None:
        crashes.announce(transport.place(), model.path, used)

    announce()  # loading rearranges the weights with the same kernels
    return Runtime.load(model, used, progress, announce)


def plan(model: ModelFile, engine: Engine) -> Plan:
    """How to load a model on this machine."""
    return planning.plan_for(model, engine).plan or Plan()


def fits_beside(model: ModelFile, plan: Plan, others: list[ModelFile]) -> bool:
    """Whether the model fits in memory next to the other loaded models."""
    return planning.fits_beside(model, plan, others)
