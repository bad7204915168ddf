"""Neovim as a person meets it: in a terminal (tmux), from an empty home, set up by the lines of docs/editors/neovim.md word for word."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal, terminal

from eager import SETTINGS
from infill import paths

pytestmark = [
    pytest.mark.editors,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: run tests/editors/install (Debian: tmux)"),
]
ROOT = Path(__file__).parents[2]
TEXT = "def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return first - second\n\n\n"
BEGUN = "def multiply(first, second):"
SHOWN = re.compile(r"def multiply\(first, second\):\n    return (\S.*)")
CATALOGUE = '[[model]]\nid = "other"\ntitle = "The other one"\nsource = "maker/other:other.gguf"\nfim_order = "spm"\nlicence = "MIT"\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home, but for what the page says to put there, for a setting that shows all suggestions, and for a file to work in."""
    blocks = re.findall(r"```lua\n(.*?)```", (ROOT / "docs" / "editors" / "neovim.md").read_text("utf-8"), re.DOTALL)
    (lines,) = [block for block in blocks if "/path/to/infill" in block]
    init = tmp_path / ".config" / "nvim" / "init.lua"
    init.parent.mkdir(parents=True)
    init.write_text(lines.replace("/path/to/infill", str(ROOT)))
    settings = tmp_path / ".config" / "infill" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text(SETTINGS)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "numbers.py").write_text(TEXT)
    return tmp_path


def _environment(home: Path, nvim: Path, infill: list[str]) -> dict[str, str]:
    programs = [str(nvim.parent), str(Path(infill[0]).parent), os.environ["PATH"]]
    # the runtime folder is the session's, not the home's: without it this test would share an engine with whoever else runs here
    (home / "run").mkdir(mode=0o700)
    return {"HOME": str(home), "PATH": os.pathsep.join(programs), "XDG_RUNTIME_DIR": str(home / "run"), "NO_PROXY": "*"}


Opens = Callable[..., Terminal]


@pytest.fixture
def opens(home: Path, nvim: Path, infill: list[str]) -> Iterator[Opens]:
    """Opens the file in Neovim in a terminal."""
    environment = _environment(home, nvim, infill)
    with contextlib.ExitStack() as sessions:

        def open_file(**more: str) -> Terminal:
            one = sessions.enter_context(terminal(home, environment | more))
            one.type("nvim work/numbers.py; echo it has ENDED | tr a-z A-Z")
            one.press("Enter")
            one.see("return first - second")
            return one

        yield open_file
    subprocess.run([*infill, "engine", "stop"], env=environment, capture_output=True)


def _begin(screen: Terminal, artefacts: Path) -> str:
    """Type until there is a suggestion: its first line."""
    screen.type(f"Go{BEGUN}")
    screen.press("Enter")
    screen.type("return ")
    seen = screen.wait(SHOWN.search, "a suggestion is on the screen")
    (artefacts / "neovim-terminal.txt").write_text(seen)
    (artefacts / "neovim-terminal.ansi").write_text(screen.screen(colours=True))
    found = SHOWN.search(seen)
    assert found
    return found[1].rstrip()


def _leave(screen: Terminal, home: Path) -> str:
    """Save and quit: what is in the file then."""
    screen.press("Escape")
    screen.type(":wq")
    screen.press("Enter")
    screen.see("IT HAS ENDED")
    return (home / "work" / "numbers.py").read_text()


def test_in_a_terminal_grey_text_appears_and_tab_puts_it_into_the_file(opens: Opens, home: Path, artefacts: Path) -> None:
    screen = opens(HF_HUB_OFFLINE="1")
    ghost = _begin(screen, artefacts)
    assert f"\x1b[90m{ghost}" in screen.screen(colours=True), "grey, in a terminal without true colour too"
    screen.press("Tab")
    saved = _leave(screen, home)
    assert saved.startswith(f"{TEXT}{BEGUN}\n    return {ghost}")


def test_a_dismissed_suggestion_on_the_screen_is_not_in_the_file(opens: Opens, home: Path, artefacts: Path) -> None:
    screen = opens(HF_HUB_OFFLINE="1")
    _begin(screen, artefacts)
    screen.press("C-]")
    screen.wait(lambda seen: not SHOWN.search(seen), "it is gone")
    assert _leave(screen, home) == f"{TEXT}{BEGUN}\n    return \n"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A hub on loopback that hands out the bundled model as another one, slowly enough to be watched."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "models")
    from hub import Hub

    with Hub() as one:
        one.add("maker/other", "other.gguf", paths.bundled_model())
        one.slow = 3_000_000
        yield one


def _choose(screen: Terminal, line: str) -> None:
    """Answer Neovim's list by the number of the line that has these words."""
    number = re.compile(rf"^(\d+): .*{line}", re.MULTILINE)
    found = number.search(screen.wait(number.search, f"{line!r} can be chosen"))
    assert found
    screen.type(found[1])
    screen.press("Enter")


def test_a_new_user_gets_from_an_empty_home_to_another_model_and_generated_code(opens: Opens, home: Path, hub: Any, artefacts: Path) -> None:
    (home / ".config" / "infill" / "models.toml").write_text(CATALOGUE)
    screen = opens(HF_ENDPOINT=hub.url)
    ghost = _begin(screen, artefacts)
    screen.press("Tab", "Escape")
    screen.see("This machine can run")

    screen.type(":Infill models")
    screen.press("Enter")
    _choose(screen, "The other one")
    seen = screen.wait(re.compile(r"downloading other.*\d\d%|\d\d%.*downloading other").search, "how far the download is stands on the screen")
    (artefacts / "neovim-download.txt").write_text(seen)
    screen.see("other is chosen")

    screen.type("o")
    screen.press("Enter", "Enter", "C-u")
    screen.type("def divide(first, second):")
    screen.press("Escape")
    screen.type(":Infill generate")
    screen.press("Enter")
    (artefacts / "neovim-generated.txt").write_text(screen.see("discards ·"))
    screen.press("Enter")
    screen.wait(lambda seen: "discards ·" not in seen, "the preview is gone")
    saved = _leave(screen, home)
    assert f"{BEGUN}\n    return {ghost}" in saved
    assert saved.partition("def divide(first, second):\n")[2].strip(), "there is code below the signature"
