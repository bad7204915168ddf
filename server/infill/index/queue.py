"""Folders that wait to be indexed, one file each: several editors, one builder and a restart agree on what is to be done. Starts the builder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from infill import state
from infill.index import folders
from infill.settings import Privacy

MODULE = "infill.index.builder"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One folder to be indexed."""

    folder: str
    """Absolute path."""
    privacy: Privacy = Privacy()
    rebuild: bool = False
    """Begin with an empty index."""


def put(job: Job) -> None:
    """Add a folder, or replace what is said of it. Raises InfillError where that cannot be written."""
    waiting = state.read(_file(job.folder), Job)
    if waiting is not None and waiting.rebuild and not job.rebuild:
        job = msgspec.structs.replace(job, rebuild=True)
    state.keep(_file(job.folder), msgspec.json.encode(job))


def first() -> Job | None:
    """The folder that has waited longest; None where none waits. A file that is damaged is deleted."""
    waiting = sorted(_folder().glob("*.json"), key=_age) if _folder().is_dir() else []
    for file in waiting:
        if job := state.read(file, Job):
            return job
        file.unlink(missing_ok=True)
    return None


def done(job: Job) -> None:
    """Remove it, unless it has been put again with other words since."""
    if state.read(_file(job.folder), Job) == job:
        _file(job.folder).unlink(missing_ok=True)


def forget(folder: Path) -> None:
    """Remove whatever waits for a folder."""
    _file(str(folder)).unlink(missing_ok=True)


def start_builder() -> None:
    """Start a builder, which ends at once where another one runs. Raises OSError where no process can be started."""
    from infill.models import child  # loads psutil

    process = subprocess.Popen(
        child.python("-m", MODULE),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(sys.executable).parent,
        env=child.environment(),
        creationflags=child.HIDDEN,
        start_new_session=sys.platform != "win32",  # it goes on when the editor's terminal is closed
    )
    process.returncode = process.poll() or 0  # it outlives us: Python must not warn that it still runs


def _folder() -> Path:
    return folders.root() / "queue"


def _file(folder: str) -> Path:
    named = os.path.normcase(os.path.realpath(folder))
    return _folder() / f"{hashlib.sha256(named.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}.json"


def _age(file: Path) -> float:
    with contextlib.suppress(OSError):
        return file.stat().st_mtime
    return 0.0
