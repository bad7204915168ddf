"""Records what the engine is computing, in a file next to its socket. After a crash, the next engine reads it and avoids the cause.

The file is written when a model is loaded, and when a different model begins to compute. A normal exit removes it. No function in this module
raises.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import msgspec

from infill import state
from infill.engine import advice, transport
from infill.engine.transport import Place
from infill.errors import InfillError
from infill.models import gguf, kernels
from infill.models.fit import Plan

log = logging.getLogger(__name__)


class Computing(msgspec.Struct, frozen=True):
    """A model and its plan."""

    path: str
    plan: Plan
    stderr: tuple[int, int]
    """Identity of the engine's stderr file."""


def announce(where: Place, path: Path, plan: Plan) -> None:
    """Record that this model computes from now on."""
    with contextlib.suppress(OSError):
        state.write_atomically(where.computing, msgspec.json.encode(Computing(str(path), plan, transport.file_identity(2))))


def clear(where: Place) -> None:
    """Remove the record at a normal exit."""
    with contextlib.suppress(OSError):
        where.computing.unlink(missing_ok=True)


def learn(where: Place) -> None:
    """Record what crashed the previous engine, if it crashed during a computation."""
    last = state.read(where.computing, Computing)
    clear(where)
    with contextlib.suppress(OSError):
        if last is not None and transport.file_identity(where.stderr_before) == last.stderr:
            _record(last, where.stderr_before.read_bytes()[-transport.WORDS_BYTES :].decode("utf-8", "replace").splitlines())


def _record(last: Computing, lines: list[str]) -> None:
    signal = advice.computation(lines)
    if not signal:
        return
    try:
        facts = gguf.read(Path(last.path))  # a file truncated since then also causes SIGBUS: the kernels are not the cause
    except InfillError:
        return
    log.warning("The engine before this one crashed while it computed (%s); plainer kernels are used from now on.", signal)
    kernels.crashed(last.plan, facts, f"crashed the engine ({signal})")
