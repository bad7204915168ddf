"""Data kept between sessions: the chosen models, for the user and for each workspace. One JSON file, written atomically and read for each use.

A damaged or unreadable file counts as empty: it never prevents infill from starting.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from infill import paths
from infill.errors import InfillError

Role = Literal["complete", "generate", "edit"]
BUNDLED = "local:bundled"
"""The small model that is shipped with infill: used until another one is chosen."""


LOCK_SECONDS = 5.0
"""How long one process waits for another one's change."""
LARGEST = 16 * 1024 * 1024
"""Maximum size in bytes of infill's own files that are read."""

REPLACE_TRIES = 20 if sys.platform == "win32" else 1
"""Attempts. Windows refuses to replace a file that another process has open. A virus scanner, for example, closes it after a moment."""
REPLACE_PAUSE = 0.05
"""Seconds between two attempts."""

Kind = TypeVar("Kind")
log = logging.getLogger(__name__)


def read(file: Path, kind: type[Kind], *, largest: int = LARGEST, decode: Callable[..., Kind] = msgspec.json.decode) -> Kind | None:
    """Decode a file that infill wrote; None if it does not exist or is damaged. Never raises."""
    try:
        with file.open("rb") as stream:
            content = stream.read(largest + 1)
    except (OSError, ValueError):
        return None
    found = decoded(content, kind, decode=decode) if len(content) <= largest else None
    if found is None:
        log.info("%s is damaged and counts as absent.", file.name)
    return found


def decoded(content: bytes, kind: type[Kind], *, decode: Callable[..., Kind] = msgspec.json.decode) -> Kind | None:
    """Decode content that infill wrote; None if it is damaged."""
    try:
        return decode(content, type=kind)
    except Exception:  # beside msgspec's own errors: invalid UTF-8, depth, numbers out of range, a type's own checks
        return None


class State(msgspec.Struct, kw_only=True):
    """Model ids by role, for the user and per workspace folder (absolute path)."""

    models: dict[Role, str] = {}
    workspaces: dict[str, dict[Role, str]] = {}
    asked_first_run: bool = False


def _file() -> Path:
    return paths.state_directory() / "state.json"


def load() -> State:
    """Read the state; empty if there is no readable file."""
    return read(_file(), State) or State()


def save(state: State) -> None:
    """Write the state atomically. Raises InfillError if it cannot be written; then nothing is changed."""
    keep(_file(), msgspec.json.format(msgspec.json.encode(state)))


@contextlib.contextmanager
def changing() -> Iterator[State]:
    """The state, to be changed inside the `with` block and then written. A lock keeps other processes out, so that no choice is lost.

    Raises InfillError if it cannot be written, or another process holds the lock for longer than LOCK_SECONDS.
    """
    import filelock

    directory = paths.private_directory(_file().parent)
    try:
        with filelock.FileLock(directory / "state.lock", timeout=LOCK_SECONDS):
            known = load()
            before = msgspec.json.encode(known)
            yield known
            if msgspec.json.encode(known) != before:
                save(known)
    except filelock.Timeout as exc:
        raise InfillError(f"Another process holds {directory / 'state.lock'}.", "End it, then try again.") from exc
    except OSError as exc:
        raise InfillError(f"The lock file in {directory} cannot be opened: {exc.strerror}.", "Make room there, or set INFILL_HOME.") from exc


def keep(file: Path, content: bytes) -> None:
    """Write a file of the user's state, readable only by the user. Raises InfillError if it cannot be written; then nothing is changed."""
    directory = paths.private_directory(file.parent)
    try:
        write_atomically(directory / file.name, content)
    except OSError as exc:
        raise InfillError(f"{file.name} cannot be written in {directory}: {exc.strerror}.", "Make room there, or set INFILL_HOME.") from exc


def write_atomically(file: Path, content: bytes) -> None:
    """Replace the content of `file`: completely or not at all, also after a power failure. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        replace(Path(name), file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def replace(source: Path, target: Path) -> None:
    """Rename a file or a folder to `target`, replacing a file there. Blocks up to a second on Windows. Raises OSError."""
    for _ in range(REPLACE_TRIES - 1):
        with contextlib.suppress(PermissionError):
            os.replace(source, target)
            return
        time.sleep(REPLACE_PAUSE)
    os.replace(source, target)


def chosen_model(role: Role = "complete", workspace: str | None = None) -> str:
    """The model id for a role: the chosen one, else (for `generate`) the one for completions, else the bundled one."""
    return choice_of(role, workspace) or choice_of("complete", workspace) or BUNDLED


def choice_of(role: Role, workspace: str | None = None) -> str:
    """The choice for this role only: in the workspace, else the user's; empty if none was made."""
    state = load()
    return state.workspaces.get(workspace or "", {}).get(role) or state.models.get(role, "")
