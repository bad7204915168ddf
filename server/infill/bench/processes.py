"""Memory and CPU time of the measured processes. Read-only."""

from __future__ import annotations

import contextlib
import os
import sys

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants; empty for 0, which stands for no process."""
    if not pid:
        return []
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def group(pid: int) -> list[psutil.Process]:
    """All processes in the session of a process, even after its own exit (on Windows: only before it)."""
    if sys.platform == "win32":
        return tree(pid)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if os.getsid(process.pid) == pid:
                found.append(process)
    return found


def runs(process: psutil.Process) -> bool:
    """False after its exit, even if its parent has not collected the exit status."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def resident(process: psutil.Process) -> int:
    """Resident bytes of this process; shared pages of mapped files (a model's weights) count in full."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def private(process: psutil.Process) -> int:
    """Bytes that would be freed if this process exited; resident bytes if the system does not report that."""
    with contextlib.suppress(psutil.Error, AttributeError):
        return int(process.memory_full_info().uss)
    return resident(process)


def cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
