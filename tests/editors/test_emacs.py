"""Emacs with eglot, in batch and in a terminal, against the real server, engine and bundled model, as docs/editors/emacs.md says. The saved file is what counts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from terminal import terminal

from eager import show_everything

pytestmark = pytest.mark.editors
PAGE = Path(__file__).parents[2] / "docs" / "editors" / "emacs.md"
DAY = Path(__file__).with_name("emacs_day.el")
TEXT = "def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return first - second\n\n\n"
TAKEN = re.compile(r"def multiply\(first, second\):\n    return (\S.*)")


def _has_eglot() -> bool:
    if shutil.which("emacs") is None:
        return False
    look = ["emacs", "--batch", "-f", "package-activate-all", "--eval", "(require 'eglot)"]
    return subprocess.run(look, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def blocks() -> list[str]:
    """The page's own Lisp: the configuration, then the way to run a command."""
    return re.findall(r"```elisp\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def _home(folder: Path, infill: list[str], blocks: list[str]) -> dict[str, str]:
    """An empty home but for the page's configuration and a file to work in; the environment of its owner."""
    if not _has_eglot():
        pytest.skip("Emacs with eglot is not installed: run tests/editors/install (Debian: emacs-nox, elpa-eglot)")
    (folder / ".emacs.d").mkdir()
    (folder / ".emacs.d" / "init.el").write_text(blocks[0])
    (folder / "work").mkdir()
    (folder / "work" / "numbers.py").write_text(TEXT)
    return os.environ | {
        "HOME": str(folder),
        "PATH": f"{Path(infill[0]).parent}{os.pathsep}{os.environ['PATH']}",
        "INFILL_HOME": str(show_everything(folder / "infill")),
        "HF_HUB_OFFLINE": "1",
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture(scope="module")
def seen(blocks: list[str], infill: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One session in batch; what was seen in it, and under `file` what is in the file at its end."""
    home = tmp_path_factory.mktemp("emacs")
    environment = _home(home, infill, blocks)
    file = home / "work" / "numbers.py"
    command = ["emacs", "--batch", "-f", "package-activate-all", "-l", str(home / ".emacs.d" / "init.el"), "-l", str(DAY), str(file), blocks[1]]
    try:
        # which code action, and whether the server may change the text
        done = subprocess.run(command, env=environment, input="Implement this function\ny\n", capture_output=True, text=True, timeout=240)
    finally:
        subprocess.run([*infill, "engine", "stop"], env=environment, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"file": file.read_text()}


def test_the_only_suggestion_is_put_behind_text_that_is_not_ascii(seen: dict[str, Any]) -> None:
    assert seen["typed"] == f"{TEXT}naïve = '😀 é'; total = add(1, "
    assert seen["completed"].startswith(seen["typed"])
    assert seen["completed"].removeprefix(seen["typed"]).strip()


def test_a_word_that_was_begun_is_not_doubled(seen: dict[str, Any]) -> None:
    assert seen["typedWord"].endswith("    return fir")
    assert seen["completedWord"].startswith(seen["typedWord"])
    added = seen["completedWord"].removeprefix(seen["typedWord"])
    assert added.strip()
    assert not added.startswith("fir")


def test_what_was_taken_is_in_the_saved_file(seen: dict[str, Any]) -> None:
    assert seen["file"].startswith(seen["saved"])
    assert seen["saved"].rstrip("\n") == seen["completedWord"].rstrip("\n")


def test_the_page_s_command_says_who_answers(seen: dict[str, Any]) -> None:
    assert seen["status"]["kind"] == "ready"
    assert seen["status"]["model"]


def test_code_actions_are_listed_and_one_writes_into_the_file(seen: dict[str, Any]) -> None:
    assert "Implement this function" in seen["actions"]
    assert seen["after"].startswith(seen["before"].rstrip("\n"))
    assert len(seen["after"].strip()) > len(seen["before"].strip())
    assert seen["file"].rstrip("\n") == seen["after"].rstrip("\n")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: run tests/editors/install (Debian: tmux)")
def test_in_a_terminal_the_completion_key_puts_the_suggestion_into_the_file(
    blocks: list[str], infill: list[str], tmp_path: Path, artefacts: Path
) -> None:
    environment = _home(tmp_path, infill, blocks)
    try:
        with terminal(tmp_path, environment) as screen:
            screen.type("emacs -nw work/numbers.py; echo it has ENDED | tr a-z A-Z")
            screen.press("Enter")
            screen.see("[eglot:work]")
            screen.press("M->")
            screen.type("def multiply(first, second):\n    return ")
            screen.press("M-Tab")
            seen = screen.wait(TAKEN.search, "the suggestion is in the text")
            (artefacts / "emacs-terminal.txt").write_text(seen)
            screen.press("C-x", "C-s", "C-x", "C-c")
            screen.see("IT HAS ENDED")
    finally:
        subprocess.run([*infill, "engine", "stop"], env=environment, capture_output=True)
    found = TAKEN.search(seen)
    assert found
    assert (tmp_path / "work" / "numbers.py").read_text().startswith(f"{TEXT}def multiply(first, second):\n    return {found[1].rstrip()}")
