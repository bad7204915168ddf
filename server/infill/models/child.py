"""Child processes for one task each: they may crash, hang or be killed without harm to a language server or the engine.

They start in the interpreter's folder, not in the editor's: `python -m` would import a `llama_cpp.py` from a cloned repository there.
A child exits at the end of its standard input: when the parent process exits, for any reason.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

from infill.models import library

RELATIVE = ("INFILL_HOME", "HF_HOME", "HF_HUB_CACHE", "OLLAMA_MODELS", "PYTHONPATH", "SSL_CERT_FILE")
"""Environment variables with paths, which are made absolute because the child's folder is another one."""
UNDISTURBED = 0.8
HIDDEN = 0x08000000 if sys.platform == "win32" else 0
"""CREATE_NO_WINDOW."""


def run(module: str, *arguments: str, timeout: float) -> subprocess.CompletedProcess[bytes]:
    """Run a module until it exits. Raises OSError or subprocess.TimeoutExpired."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL, **_options())


@contextlib.contextmanager
def running(command: list[str], *, words: bool = False, more: Mapping[str, str] | None = None, built: library.Built | None = None) -> Iterator[Child]:
    """Start a process to communicate with; it is stopped at the end of the block. `words`: its standard error is read as well."""
    errors = subprocess.STDOUT if words else subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, **_options(more, built))
    child = Child(process)
    try:
        yield child
    finally:
        child.end()


def python(*arguments: str) -> list[str]:
    """The command of this interpreter with arguments."""
    return [sys.executable, *arguments]


class Child:
    """A running process with line-based input and output."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, line: bytes) -> None:
        """Send a line. If the process exited, the line is lost; the end of its output shows that."""
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.write(line + b"\n")
                self._process.stdin.flush()

    def line(self, timeout: float) -> bytes | None:
        """The next line of its output; None when there is none yet; empty after its end."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            return None
        if not line:
            self._lines.put(b"")
        return line

    def code(self) -> int:
        """Wait until it exits; its exit code."""
        return self._process.wait()

    def end(self) -> None:
        """Stop it and its child processes, such as a compiler."""
        others: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            others = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for other in others:
            with contextlib.suppress(psutil.Error):
                other.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line)
        self._lines.put(b"")


def environment(more: Mapping[str, str] | None = None, built: library.Built | None = None) -> dict[str, str]:
    """The environment of a child: absolute paths, and the current llama.cpp."""
    found = {**library.environment(built), **(more or {})}
    for name in RELATIVE:
        if found.get(name):
            found[name] = os.pathsep.join(str(Path(part).expanduser().absolute()) for part in found[name].split(os.pathsep) if part)
    return found


def _options(more: Mapping[str, str] | None = None, built: library.Built | None = None) -> dict[str, Any]:
    return {"cwd": Path(sys.executable).parent, "env": environment(more, built), "creationflags": HIDDEN}


def is_disturbed(received: float) -> bool:
    """Whether a measurement with this share of the requested CPU time must not be stored, because other programs used the cores."""
    return received < UNDISTURBED
