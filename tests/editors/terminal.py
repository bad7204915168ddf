"""A terminal for a test, as a person sits at one: tmux runs a program, keys go in, the screen is read."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 90.0
"""Seconds: far beyond what anything takes, on a busy machine too. Only a failure waits so long."""
SIZE = ("-x", "120", "-y", "60")


class Terminal:
    """One window of a tmux server of its own."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self._socket = home / "tmux.sock"
        self._environment = environment | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        # a plain shell, so that what is run can end and the terminal stays
        shell = "env PS1='$ ' sh"
        self._tmux("-f", "/dev/null", "new-session", "-d", *SIZE, "-c", str(home), shell)
        self._tmux("set-option", "-g", "default-terminal", "tmux-256color")
        self._tmux("set-option", "-s", "escape-time", "0")

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-u", "-S", str(self._socket), *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True).stdout

    def type(self, text: str) -> None:
        """These characters."""
        self._tmux("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Keys by tmux's names, such as Enter, Tab, Escape, M-Right."""
        self._tmux("send-keys", *keys)

    def screen(self, *, colours: bool = False) -> str:
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def wait(self, look: Callable[[str], object], sentence: str) -> str:
        """Look at the screen until `look` finds what it wants there; the screen then."""
        deadline = time.monotonic() + PATIENCE
        while not look(screen := self.screen()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {PATIENCE:.0f} s: {sentence}\n{screen}")
            time.sleep(0.05)
        return screen

    def see(self, text: str) -> str:
        return self.wait(lambda screen: text in screen, f"{text!r} is on the screen")

    def close(self) -> None:
        self._tmux("kill-server")


@contextmanager
def terminal(home: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    one = Terminal(home, environment)
    try:
        yield one
    finally:
        one.close()
