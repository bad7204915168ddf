"""What the engine computes at the moment, kept beside its socket: so that the next engine knows what its predecessor crashed on, and avoids it.

The file is written when a model is loaded, and when another model than before begins to compute. It is removed when the engine exits normally.
Nothing here raises.
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
    """A model and the plan that it computes by."""

    path: str
    plan: Plan
    stderr: tuple[int, int]
    """Identity of the file with the engine's last words."""


def announce(where: Place, path: Path, plan: Plan) -> None:
    """This model computes from now on."""
    with contextlib.suppress(OSError):
        state.write_atomically(where.computing, msgspec.json.encode(Computing(str(path), plan, transport.file_identity(2))))


def clear(where: Place) -> None:
    """The engine ends in good order."""
    with contextlib.suppress(OSError):
        where.computing.unlink(missing_ok=True)


def learn(where: Place) -> None:
    """Record what the engine before this one crashed on, if it crashed while it computed."""
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
        facts = gguf.read(Path(last.path))  # a file that was cut short meanwhile ends a process too (SIGBUS): then the kernels are not to blame
    except InfillError:
        return
    log.warning("The engine before this one crashed while it computed (%s); plainer kernels are used from now on.", signal)
    kernels.crashed(last.plan, facts, f"crashed the engine ({signal})")
