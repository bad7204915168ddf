"""Where the indexes lie in the state folder, and what is known of each. Every file is its user's own; nothing here opens a database.

index/builder.lock          held by the one builder that runs
index/queue/NAME.json       a folder to be indexed (`queue.Job`)
index/NAME/index.sqlite     the index of one folder; NAME is a hash of its path
index/NAME/status.json      `IndexStatus`
index/NAME/current          the file that is being parsed, while a builder runs
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
"""Windows refuses to delete a file that another process has open for a moment."""


class IndexStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a builder last said of one folder's index."""

    folder: str
    state: str = "ready"
    """`building`, `ready`, or `stopped` where `problem` tells why."""
    files: int = 0
    symbols: int = 0
    chunks: int = 0
    bytes: int = 0
    """Of the database."""
    seconds: float = 0.0
    """CPU time of the last run."""
    updated: float = 0.0
    """When this was written, in seconds since 1970."""
    problem: str = ""
    """A sentence: what keeps the index from being complete; empty: nothing."""
    rebuilt: str = ""
    """A sentence: why the index was built anew; empty: it was not."""


def root() -> Path:
    """The folder of all indexes."""
    return paths.state_directory() / "index"


def of(workspace: Path) -> Path:
    """The folder of one workspace folder's index."""
    named = os.path.normcase(os.path.realpath(workspace))
    return root() / hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def database(workspace: Path) -> Path:
    return of(workspace) / "index.sqlite"


def read_status(workspace: Path) -> IndexStatus | None:
    """None where there is no index."""
    return state.read(of(workspace) / "status.json", IndexStatus)


def write_status(status: IndexStatus) -> IndexStatus:
    """Returns what was written. Raises InfillError where it cannot be written."""
    written = msgspec.structs.replace(status, updated=time.time())
    state.keep(of(Path(status.folder)) / "status.json", msgspec.json.encode(written))
    return written


def everything() -> Iterator[IndexStatus]:
    """The status of every index on this machine."""
    for file in sorted(root().glob("*/status.json")) if root().is_dir() else ():
        if found := state.read(file, IndexStatus):
            yield found


def delete(workspace: Path) -> bool:
    """Delete the index of a folder; whether there was one. Raises OSError."""
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
