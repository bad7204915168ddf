"""What outlives a session: which model was chosen, for the user and for each workspace. One JSON file, written atomically, read anew each time.

A damaged or unreadable file counts as empty: nothing here ever keeps the program from starting.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Literal

import msgspec

from infill import paths

Role = Literal["complete", "generate"]
BUNDLED = "local:bundled"
"""The small model that ships with the program: the choice while there is no other."""


class State(msgspec.Struct, kw_only=True):
    """Model ids by role, for the user and per workspace folder (absolute path)."""

    models: dict[Role, str] = {}
    workspaces: dict[str, dict[Role, str]] = {}
    asked_first_run: bool = False


def _file() -> Path:
    return paths.state_directory() / "state.json"


def load() -> State:
    """Read the state; empty where there is none or it cannot be read."""
    try:
        return msgspec.json.decode(_file().read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return State()


def save(state: State) -> None:
    """Write the state atomically. Raises InfillError where the directory cannot be written."""
    directory = paths.private_directory(_file().parent)
    write_atomically(directory / _file().name, msgspec.json.format(msgspec.json.encode(state)))


def write_atomically(file: Path, content: bytes) -> None:
    """Put `content` in place of `file`: whole or not at all, also when the machine loses power. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def chosen_model(role: Role = "complete", workspace: str | None = None) -> str:
    """The model id for a role: the workspace's choice, else the user's, else (for `generate`) the one for completions, else the bundled one."""
    state = load()
    for choice in (state.workspaces.get(workspace or "", {}), state.models):
        if role in choice:
            return choice[role]
    return BUNDLED if role == "complete" else chosen_model("complete", workspace)
