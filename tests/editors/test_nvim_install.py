"""The plugin installed by the lines of docs/editors/neovim.md: with vim.pack and lazy.nvim from a git repository, and by hand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nvim import FAKE, Neovim, neovim

pytestmark = pytest.mark.editors
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "editors" / "neovim.md").read_text("utf-8")
BLOCKS: list[str] = re.findall(r"```lua\n(.*?)```", PAGE, re.DOTALL)
TEXT = "def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return first - second\n\n\n"
# both on the command line's own page, and wherever Neovim looks for them
FOUND = "return { vim.fn.exists(':Infill'), #vim.fn.getcompletion('infill-options', 'help'), type(require('infill').status()) }"


def _block(words: str) -> str:
    (found,) = [block for block in BLOCKS if words in block]
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with what this checkout has for Neovim, committed or not."""
    folder = tmp_path / "repository"
    for part in ("lua", "lsp", "plugin", "clients/nvim"):
        shutil.copytree(ROOT / part, folder / part)
    git = ["git", "-c", "user.name=infill", "-c", "user.email=infill@example.org", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "A plugin"]):
        subprocess.run([*git, *words], cwd=folder, check=True, capture_output=True)
    return folder


def _works(editor: Neovim) -> None:
    """The command, the help and the completions are there."""
    editor.ready()
    assert editor.lua(FOUND) == [2, 1, "string"]
    ghost = editor.type_and_see("Godef multiply(first, second):<CR>    return ")
    assert editor.lua("return require('infill').is_visible()")
    editor.keys("<Tab>")
    editor.wait(lambda: editor.text.endswith(ghost), "the suggestion is accepted")


def _file(tmp_path: Path) -> Path:
    file = tmp_path / "work" / "numbers.py"
    file.parent.mkdir()
    file.write_text(TEXT)
    return file


SERVER = [sys.executable, "lsp"]
"""Not started: the server is one inside Neovim."""


def test_vim_pack_installs_the_plugin_from_a_git_url(nvim: Path, repository: Path, tmp_path: Path) -> None:
    # the page's lines; a test cannot answer the question whether to install
    plugin = _block("vim.pack.add").replace("URL-OF-INFILL", f"file://{repository}").replace("'infill' } })", "'infill' } }, { confirm = false })")
    assert "confirm = false" in plugin
    plugin = plugin.replace("vim.lsp.enable", "_G.early = require('infill').status()\nvim.lsp.enable")
    with neovim(nvim, tmp_path / "nvim", SERVER, _file(tmp_path), init=FAKE, plugin=plugin) as editor:
        _works(editor)
        assert list((tmp_path / "nvim").rglob("site/pack/core/opt/infill/.git"))
        assert editor.lua("return _G.early") == "", "its functions can be called in init.lua"


def test_by_hand_the_root_of_the_repository_is_enough(nvim: Path, repository: Path, tmp_path: Path) -> None:
    plugin = _block("runtimepath").replace("/path/to/infill", str(repository))
    with neovim(nvim, tmp_path / "nvim", SERVER, _file(tmp_path), init=FAKE, plugin=plugin) as editor:
        _works(editor)


@pytest.mark.skipif("INFILL_TEST_LAZY" not in os.environ, reason="INFILL_TEST_LAZY names no folder with lazy.nvim")
def test_lazy_nvim_installs_the_plugin_from_a_git_url(nvim: Path, repository: Path, tmp_path: Path) -> None:
    spec = _block("lazy = false").replace("URL-OF-INFILL", f"file://{repository}")
    manager = os.environ["INFILL_TEST_LAZY"]
    plugin = f"vim.opt.runtimepath:prepend([[{manager}]])\nrequire('lazy').setup({{ {spec} }}, {{ git = {{ filter = false }} }})"
    with neovim(nvim, tmp_path / "nvim", SERVER, _file(tmp_path), init=FAKE, plugin=plugin) as editor:
        _works(editor)
        assert list((tmp_path / "nvim").rglob("lazy/infill/.git"))


@pytest.mark.parametrize("name", ["lualine", "heirline"])
def test_the_page_s_lines_put_the_state_into_the_status_line_of_a_plugin(nvim: Path, repository: Path, tmp_path: Path, name: str) -> None:
    folder = os.environ.get(f"INFILL_TEST_{name.upper()}")
    if folder is None:
        pytest.skip(f"INFILL_TEST_{name.upper()} names no folder with {name}")
    plugin = f"{_block('runtimepath').replace('/path/to/infill', str(repository))}\nvim.opt.runtimepath:prepend([[{folder}]])\n{_block(name)}"
    with neovim(nvim, tmp_path / "nvim", SERVER, _file(tmp_path), init=FAKE, plugin=plugin) as editor:
        editor.ready()
        editor.lua("fake.tell('infill/status', { kind = 'loading', message = 'Loading tiny (40%)', model = 'local:tiny', provider = 'local' })")
        shown = "return vim.api.nvim_eval_statusline(vim.o.statusline, { use_winbar = false }).str"
        editor.wait(lambda: "◌ tiny (loading 40%)" in str(editor.lua(shown)), "the status line shows it")
        assert "%%" not in str(editor.lua(shown))
