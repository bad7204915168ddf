"""The engine as a process: its lock, its status file, its signals, its end. Builds the server from its parts.

Here alone the engine touches files; a directory that cannot be written is said in a sentence, and the process ends with it.
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
"""Seconds to wait for a predecessor that is leaving."""
STDERR_BYTES = 1024 * 1024
"""Most that the file of last words may hold."""
HUNG_EXIT = 70
M_MMAP_THRESHOLD = -3
"""Of glibc's malloc.h."""
LARGE_BYTES = 1024 * 1024

log = logging.getLogger(__name__)


def main() -> int:
    """Run until it is time to leave; returns the exit code."""
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
        with contextlib.suppress(OSError):  # of an engine that died: its port may be anybody's
            where.status.unlink(missing_ok=True)
        _prefer_to_die_first()
        _return_large_blocks()
        asyncio.run(_serve(where))
    except (InfillError, OSError) as exc:
        log.critical("The engine cannot run: %s", exc)
        return 1
    finally:
        _tidy(where, lock)
    # threads that hang in a driver, and llama.cpp's static destructors, must not keep a process that has nothing left to do
    sys.stderr.flush()
    os._exit(0)


class LastWords(logging.StreamHandler[TextIO]):
    """Writes to the file that the standard error is, and starts it anew when it has grown too large."""

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
    logging.raiseExceptions = False  # on a full disk, nothing is gained by writing about that


async def _serve(where: Place) -> None:
    token = secrets.token_hex(32) if where.kind == "tcp" else ""
    server = Server(where, token, Loading(store.locate, plan, load, fits_beside, planning.step_down), lambda: os._exit(HUNG_EXIT))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, server.leave, "it was told to by a signal")
    # what takes longest about the first completion is this import: it is done while the client says what it wants
    threading.Thread(target=_import_llama, name="import", daemon=True).start()
    await server.run(lambda port: _announce(where, port, token))


def _announce(where: Place, port: int, token: str) -> None:
    """Say who and where this engine is. Without room on the disk a Unix socket still works; a port would never be found."""
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
    """Where memory runs out, let the kernel end this process rather than the editor: it is started again in a moment."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _return_large_blocks() -> None:
    """Have the C library give every large block back as it is freed. By itself it learns to keep them, and a switch of models leaves holes behind."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # it is glibc alone that has it
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def _import_llama() -> None:
    try:
        from infill.engine import runtime  # noqa: F401
    except Exception:
        log.exception("llama.cpp cannot be imported.")


# ---- how models get into memory


def load(model: ModelFile, plan: Plan, progress: Callable[[float], bool]) -> Loaded:
    """Load a model by a plan that passed the self-test on this machine; llama.cpp itself is imported only here."""
    try:
        from infill.engine.runtime import Runtime
    except Exception as exc:
        raise InfillError(f"llama.cpp cannot be used on this machine: {exc}.", "`infill doctor` says more.") from exc
    used = trial.verified(model, plan, progress)

    def announce() -> None:
        crashes.announce(transport.place(), model.path, used)

    announce()  # weights are rearranged while they are loaded, by the same kernels
    return Runtime.load(model, used, progress, announce)


def plan(model: ModelFile, engine: Engine) -> Plan:
    """How to load a model on this machine."""
    return planning.plan_for(model, engine).plan or Plan()


def fits_beside(model: ModelFile, plan: Plan, others: list[ModelFile]) -> bool:
    """Whether there is room for a model while the others stay."""
    return planning.fits_beside(model, plan, others)
