"""The processes that are measured: their memory and their work. Looks, never touches."""

from __future__ import annotations

import contextlib
import os
import sys

import psutil


def tree(pid: int) -> list[psutil.Process]:
    """A process and all its children; nothing for 0, which says that there is none."""
    if not pid:
        return []
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def group(pid: int) -> list[psutil.Process]:
    """All that a process started with a session of its own has started, also when it has ended itself (on Windows: while it runs)."""
    if sys.platform == "win32":
        return tree(pid)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):
            if os.getsid(process.pid) == pid:
                found.append(process)
    return found


def runs(process: psutil.Process) -> bool:
    """False once it has ended, whether or not its parent has taken note of that."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def resident(process: psutil.Process) -> int:
    """Bytes that this process keeps in memory for itself: shared pages of files that others map too (a model's weights) count in full."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def private(process: psutil.Process) -> int:
    """Bytes that would come back if this process ended; resident bytes where the system cannot tell."""
    with contextlib.suppress(psutil.Error, AttributeError):
        return int(process.memory_full_info().uss)
    return resident(process)


def cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
