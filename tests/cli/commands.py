"""Running `infill` as a person would, in a home of its own."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

LONGEST = 120
"""Seconds that any command may take here: the machine may be busy, none is measured."""


class Ran(msgspec.Struct, frozen=True):
    """How a command went."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        return json.loads(self.out)


class Shell(msgspec.Struct, frozen=True):
    """A terminal without a terminal: what is printed goes through pipes."""

    home: Path
    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        return {**os.environ, "INFILL_HOME": str(self.home), "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error", **more}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "infill", *words]

    def run(self, *words: str, **more: str) -> Ran:
        done = subprocess.run(
            self.command(*words), cwd=self.folder, env=self.environment(**more), stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST
        )
        return Ran(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))

    @contextlib.contextmanager
    def start(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command that goes on running; ended with the block, whatever happens in it."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            # where tests run in the background, Ctrl-C is ignored, and that is inherited
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def on_a_terminal(self, *words: str) -> Ran:
        """The same with a real pseudo terminal for both outputs."""
        ours, theirs = pty.openpty()
        environment = self.environment(TERM="xterm-256color", COLUMNS="120")
        process = subprocess.Popen(self.command(*words), cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 65_536)
            except OSError:  # how Linux says that nobody writes any more
                break
            if not chunk:
                break
            shown += chunk
        os.close(ours)
        return Ran(process.wait(LONGEST), shown.decode("utf-8"), "")
