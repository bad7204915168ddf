"""How a process ended, from its exit code and last lines: names of signals, the same on every system. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

SIGNALS = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 10: "SIGBUS", 11: "SIGSEGV"}
"""Signals of a failed computation, by number. 7 on Linux and 10 on macOS are the same signal."""
WINDOWS = {
    0xC000001D: "SIGILL",  # STATUS_ILLEGAL_INSTRUCTION
    0xC0000005: "SIGSEGV",  # STATUS_ACCESS_VIOLATION
    0xC0000006: "SIGBUS",  # STATUS_IN_PAGE_ERROR: a mapped file that cannot be read
    0xC0000094: "SIGFPE",  # STATUS_INTEGER_DIVIDE_BY_ZERO
    0xC0000096: "SIGILL",  # STATUS_PRIVILEGED_INSTRUCTION
    0xC00000FD: "SIGSEGV",  # STATUS_STACK_OVERFLOW
    0xC0000409: "SIGABRT",  # STATUS_STACK_BUFFER_OVERRUN, the exit code of abort()
}
SAID = (
    (r"Fatal Python error: Illegal instruction|Windows fatal exception: code 0xc000001d", "SIGILL"),
    (r"Fatal Python error: Aborted", "SIGABRT"),
    (r"Fatal Python error: Bus error|Windows fatal exception: code 0xc0000006", "SIGBUS"),
    (r"Fatal Python error: Floating.point exception|Windows fatal exception: int divide by zero", "SIGFPE"),
    (r"Fatal Python error: Segmentation fault|Windows fatal exception: (access violation|stack overflow)", "SIGSEGV"),
)
"""Messages of Python's faulthandler."""
COMPUTING = re.compile(r'File ".*[\\/](engine[\\/]llama|llama_cpp[\\/]\w+)\.py", line \d+ in')
"""A frame in llama.cpp, of any thread, in faulthandler's output: llama.cpp's own threads have no Python frames."""


def signal_of(code: int | None) -> str:
    """The signal of an exit code, if it is one of a failed computation; else empty."""
    if code is None:
        return ""
    if code < 0:
        return SIGNALS.get(-code) or WINDOWS.get(code + (1 << 32), "")
    return WINDOWS.get(code) or SIGNALS.get(code - 128, "")


def signal_said(lines: Sequence[str]) -> str:
    """The signal that a process reported before it ended; empty if none."""
    words = "\n".join(lines)
    return next((name for pattern, name in SAID if re.search(pattern, words)), "")


def was_computing(lines: Sequence[str]) -> bool:
    """Whether llama.cpp was running when faulthandler wrote these lines."""
    return any(COMPUTING.search(line) for line in lines)
