"""Paths of the indexes in the state folder, and their status files. All files are private to the user. Opens no database.

index/builder.lock          locked by the running builder
index/queue/NAME.json       a queued folder (`queue.Job`)
index/NAME/index.sqlite     the index of one folder; NAME is a hash of its path
index/NAME/status.json      `IndexStatus`
index/NAME/current          path of the file that the running builder is parsing
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from infill import paths, state

RETRY_SECONDS = 0.1
DELETE_TRIES = 20
"""Attempts to delete: Windows cannot delete a file while another process has it open."""


class IndexStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The last status of one folder's index."""

    folder: str
    state: str = "ready"
    """`building`, `ready`, or `stopped` for the reason in `problem`."""
    files: int = 0
    symbols: int = 0
    chunks: int = 0
    bytes: int = 0
    """Size of the database."""
    seconds: float = 0.0
    """CPU time of the last run."""
    updated: float = 0.0
    """Time of writing, in seconds since 1970."""
    problem: str = ""
    """Why the index is incomplete, as a sentence; empty: it is complete."""
    rebuilt: str = ""
    """Why the index was rebuilt, as a sentence; empty: it was not."""


def root() -> Path:
    """The folder of all indexes."""
    return paths.state_directory() / "index"


def of(workspace: Path) -> Path:
    """The folder of the index of one workspace folder."""
    named = os.path.normcase(os.path.realpath(workspace))
    return root() / hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def database(workspace: Path) -> Path:
    return of(workspace) / "index.sqlite"


def read_status(workspace: Path) -> IndexStatus | None:
    """The status of a folder's index; None if there is no index."""
    return state.read(of(workspace) / "status.json", IndexStatus)


def write_status(status: IndexStatus) -> IndexStatus:
    """Write a status with the current time; returns it. Raises InfillError if it cannot be written."""
    written = msgspec.structs.replace(status, updated=time.time())
    state.keep(of(Path(status.folder)) / "status.json", msgspec.json.encode(written))
    return written


def everything() -> Iterator[IndexStatus]:
    """The status of every index on this machine."""
    for file in sorted(root().glob("*/status.json")) if root().is_dir() else ():
        if found := state.read(file, IndexStatus):
            yield found


def delete(workspace: Path) -> bool:
    """Delete the index of a folder; returns whether there was one. Raises OSError."""
    folder = of(workspace)
    if not folder.is_dir():
        return False
    for _ in range(DELETE_TRIES - 1):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return True
        time.sleep(RETRY_SECONDS)
    shutil.rmtree(folder)
    return True
