"""`python -m infill.index.builder`: indexes the queued folders, then exits. At most one runs per user, at the lowest priority.

It uses one core for at most BUSY_SECONDS, then pauses. If a file takes longer than FILE_SECONDS, the process exits, and the next one skips that file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from infill import log, paths
from infill.errors import InfillError
from infill.index import build, folders, queue
from infill.index.folders import IndexStatus
from infill.index.queue import Job

BUSY_SECONDS, REST_SECONDS = 20.0, 10.0
WAIT_SECONDS = 10.0
"""How long a command waits for a running builder to exit."""
FILE_SECONDS = 60.0
"""Longest time for one file."""

logger = logging.getLogger(__name__)


class Pace:
    """Pauses after each BUSY_SECONDS of CPU time, and exits the process if a file takes too long."""

    def __init__(self) -> None:
        self._worked = time.process_time()
        self._alive = time.monotonic()
        threading.Thread(target=self._watch, daemon=True).start()

    def rest(self) -> None:
        """Pause if it is due; called after each file."""
        if time.process_time() - self._worked > BUSY_SECONDS:
            self._alive = time.monotonic() + REST_SECONDS
            time.sleep(REST_SECONDS)
            self._worked = time.process_time()
        self._alive = time.monotonic()

    def _watch(self) -> None:
        while True:
            time.sleep(FILE_SECONDS / 4)
            if time.monotonic() - self._alive > FILE_SECONDS:
                logger.warning("a file took longer than %d s to index: it is left out", FILE_SECONDS)
                os._exit(3)


def main() -> None:
    log.to_file("index", "info")
    _yield_to_others()
    pace: Pace | None = None
    while queue.first() is not None:
        with _alone() as alone:
            if not alone:
                return
            pace = pace or Pace()
            work(pace)


def work(pace: Pace) -> None:
    """Index folders until the queue is empty. A folder that cannot be indexed does not block the others."""
    while (job := queue.first()) is not None:
        if not os.path.isdir(job.folder):  # noqa: PTH112 - never raises
            queue.forget(Path(job.folder))
            continue
        try:
            said = build.build(job, pace.rest)
            logger.info("indexed %d files in %.1f s of CPU time", said.files, said.seconds)
        except (InfillError, OSError) as exc:
            logger.warning("a folder was not indexed: %s", exc)
        queue.done(job)


def build_now(job: Job) -> IndexStatus:
    """Index a folder in this process. Raises InfillError if another builder does not exit within WAIT_SECONDS."""
    with _alone(WAIT_SECONDS) as alone:
        if not alone:
            raise InfillError("The index is being built by another process.", "Try again when it has ended: `infill index status`.")
        queue.forget(Path(job.folder))
        return build.build(job)


def delete(workspace: Path) -> bool:
    """Delete the index of a folder; returns whether there was one. Raises InfillError as `build_now`, and OSError."""
    with _alone(WAIT_SECONDS) as alone:
        if not alone:
            raise InfillError("The index is being built by another process.", "Try again when it has ended: `infill index status`.")
        queue.forget(workspace)
        return folders.delete(workspace)


@contextlib.contextmanager
def _alone(seconds: float = 0) -> Iterator[bool]:
    """Hold the builder lock; False if another builder still holds it after `seconds`."""
    import filelock

    lock = filelock.FileLock(paths.private_directory(folders.root()) / "builder.lock", timeout=seconds)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _yield_to_others() -> None:
    """Set the lowest CPU and I/O priority."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError, AttributeError):
        if sys.platform == "win32":
            psutil.Process().nice(psutil.IDLE_PRIORITY_CLASS)
        else:
            os.nice(19)
    with contextlib.suppress(psutil.Error, OSError, AttributeError):
        if sys.platform == "linux":
            psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)


if __name__ == "__main__":
    main()
