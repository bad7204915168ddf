"""Which program the Neovim plugin starts: never one of the current folder, which may be a cloned repository; and from where it starts it."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from nvim import Neovim, neovim

pytestmark = pytest.mark.editors
PLANTED = "#!/bin/sh\ntouch '{ran}'\n"


def plant(file: Path, ran: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PLANTED.format(ran=ran))
    file.chmod(0o755)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with programs called `infill` in it, from which Neovim is started."""
    folder = tmp_path / "repository"
    for place in ("", "bin", "node_modules/.bin", ".venv/bin"):
        for name in ("infill", "other-infill"):
            plant(folder / place / name, tmp_path / "ran")
    (folder / "main.py").write_text("x = 1\n")
    monkeypatch.chdir(folder)
    return folder


def server_of(editor: Neovim) -> psutil.Process:
    editor.ready()
    (found,) = [each for each in psutil.Process(editor.process.pid).children(recursive=True) if "lsp" in each.cmdline()]
    return found


def test_the_server_runs_in_the_home_directory_and_is_started_by_its_absolute_path(
    nvim: Path, infill: list[str], repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = ["", ".", "bin", "node_modules/.bin", "./.venv/bin", str(Path(infill[0]).parent), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(entries))
    with neovim(nvim, tmp_path / "nvim", ["infill", "lsp"], repository / "main.py") as editor:
        server = server_of(editor)
        assert Path(server.cwd()).samefile(tmp_path / "nvim")
        assert infill[0] in server.cmdline()
        assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["other-infill", "./infill", "bin/infill", ".venv/bin/infill", "../repository/infill"])
def test_no_program_of_the_current_folder_is_started(
    nvim: Path, repository: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([".", "bin", "", "node_modules/.bin", "/usr/bin", "/bin"]))
    with neovim(nvim, tmp_path / "nvim", [name, "lsp"], repository / "main.py") as editor:
        editor.wait(lambda: "was not found" in editor.messages(), "that the program is missing is told")
        assert editor.lua("return require('infill.server').command()") is None
        editor.lua("vim.cmd('checkhealth infill')")
        assert not (tmp_path / "ran").exists()
