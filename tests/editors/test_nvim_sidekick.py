"""An unmodified sidekick.nvim in a real Neovim: it asks `textDocument/copilotInlineEdit`, shows the next edit, jumps and applies it.

Its folder is named by INFILL_SIDEKICK, such as a clone of https://github.com/folke/sidekick.nvim; without it these tests are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from nvim import Neovim, neovim

pytestmark = pytest.mark.editors
TEXT = "def total(items, rate):\n    s = 0\n    for item in items:\n        s += item.price * rate\n    print(rate)\n    return s\n"
LINE = "local edits = require('sidekick.nes').get() return edits[1] and edits[1].range.start.line + 1 or 0"
ATTACHED = "local client = vim.lsp.get_clients({ name = 'copilot' })[1] return client ~= nil and client.initialized"
KEY = "vim.keymap.set('n', '<Tab>', function() return require('sidekick').nes_jump_or_apply() and '' or '<Tab>' end, { expr = true })"


@pytest.fixture
def editor(nvim: Path, infill: list[str], tmp_path: Path) -> Iterator[Neovim]:
    folder = os.environ.get("INFILL_SIDEKICK")
    if not folder:
        pytest.skip("INFILL_SIDEKICK does not name a folder of sidekick.nvim")
    file = tmp_path / "work" / "shop.py"
    file.parent.mkdir()
    file.write_text(TEXT)
    command = ", ".join(f"[[{word}]]" for word in [*infill, "lsp"])
    # sidekick asks servers whose name contains "copilot"; the plugin's own client would be a second one
    init = [
        f"vim.opt.runtimepath:prepend([[{folder}]])",
        f"vim.lsp.config('copilot', {{ cmd = {{ {command} }}, filetypes = {{ 'python' }} }})",
        "vim.cmd('filetype indent off') vim.lsp.enable('copilot') vim.lsp.enable = function() end",
        f"require('sidekick').setup({{}}) {KEY}",
    ]
    with neovim(nvim, tmp_path / "nvim", [*infill, "lsp"], file, init="\n".join(init)) as one:
        one.wait(lambda: one.lua(ATTACHED), "the server is attached")
        one.lua("require('sidekick.nes').enable(true)")
        yield one


def _renamed(editor: Neovim) -> None:
    editor.keys("ggfrcwtax<Esc>")
    editor.wait(lambda: editor.lua(LINE) == 4, "the use on line 4 is suggested")


def test_sidekick_jumps_to_the_next_edit_and_applies_it_with_its_own_key(editor: Neovim) -> None:
    _renamed(editor)
    editor.keys("<Tab>")
    editor.wait(lambda: editor.lua("return vim.api.nvim_win_get_cursor(0)[1]") == 4, "the cursor is there")
    editor.keys("<Tab>")
    editor.wait(lambda: "price * tax" in editor.text, "it is applied")
    editor.wait(lambda: editor.lua(LINE) == 5, "sidekick asks again, and gets the next one of the chain")
    editor.keys("<Tab>")
    editor.wait(lambda: editor.lua("return vim.api.nvim_win_get_cursor(0)[1]") == 5, "the cursor is there")
    editor.keys("<Tab>")
    editor.wait(lambda: "print(tax)" in editor.text, "it is applied too")
    assert editor.saved() == TEXT.replace("rate", "tax")


def test_an_edit_of_an_older_version_is_not_shown_by_sidekick(editor: Neovim) -> None:
    _renamed(editor)
    editor.keys("ggO# first<Esc>")
    editor.wait(lambda: editor.lua(LINE) in {0, 5}, "what was suggested for line 4 is gone, or stands on the line below")
    assert "price * rate" in editor.text
