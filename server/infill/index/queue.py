"""The queue of folders to index, one file each, shared by all editors and the builder and kept over restarts. Starts the builder."""

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
    """A folder to index."""

    folder: str
    """Absolute path."""
    privacy: Privacy = Privacy()
    rebuild: bool = False
    """Start with an empty index."""


def put(job: Job) -> None:
    """Add a folder or replace its job. Raises InfillError if it cannot be written."""
    waiting = state.read(_file(job.folder), Job)
    if waiting is not None and waiting.rebuild and not job.rebuild:
        job = msgspec.structs.replace(job, rebuild=True)
    state.keep(_file(job.folder), msgspec.json.encode(job))


def first() -> Job | None:
    """The oldest job; None if the queue is empty. Deletes damaged files."""
    waiting = sorted(_folder().glob("*.json"), key=_age) if _folder().is_dir() else []
    for file in waiting:
        if job := state.read(file, Job):
            return job
        file.unlink(missing_ok=True)
    return None


def done(job: Job) -> None:
    """Remove a job, unless it was replaced by a different one."""
    if state.read(_file(job.folder), Job) == job:
        _file(job.folder).unlink(missing_ok=True)


def forget(folder: Path) -> None:
    """Remove the job of a folder."""
    _file(str(folder)).unlink(missing_ok=True)


def start_builder() -> None:
    """Start a builder, which exits at once if another one runs. Raises OSError if no process can be started."""
    from infill.models import child  # imports psutil

    process = subprocess.Popen(
        child.python("-m", MODULE),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(sys.executable).parent,
        env=child.environment(),
        creationflags=child.HIDDEN,
        start_new_session=sys.platform != "win32",  # it continues after the editor's terminal is closed
    )
    process.returncode = process.poll() or 0  # it outlives this process: Python must not warn that it still runs


def _folder() -> Path:
    return folders.root() / "queue"


def _file(folder: str) -> Path:
    named = os.path.normcase(os.path.realpath(folder))
    return _folder() / f"{hashlib.sha256(named.encode('utf-8', 'surrogatepass')).hexdigest()[:20]}.json"


def _age(file: Path) -> float:
    with contextlib.suppress(OSError):
        return file.stat().st_mtime
    return 0.0
