"""How the Neovim plugin requests and draws ghost text, with a server inside Neovim: every step happens, nothing is timed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nvim import FAKE, Neovim, neovim

pytestmark = pytest.mark.editors
TYPED = "def multiply(first, second):\n    return "
KEYS = "Idef multiply(first, second):<CR>    return "
GHOST = "first * second"
ASKED = "return vim.tbl_map(function(one) return one.params.context.triggerKind end, vim.tbl_filter(function(one) return one.method == 'textDocument/inlineCompletion' end, fake.sent))"
VISIBLE = "return require('infill').is_visible()"


@pytest.fixture
def editor(nvim: Path, tmp_path: Path) -> Iterator[Neovim]:
    (tmp_path / "numbers.py").write_text("")
    with neovim(nvim, tmp_path / "nvim", [sys.executable, "lsp"], tmp_path / "numbers.py", init=FAKE) as one:
        one.ready()
        yield one


def _option(editor: Neovim, name: str, value: str) -> None:
    editor.lua(f"local options = vim.g.infill options.{name} = {value} vim.g.infill = options")


def test_ghost_text_has_highlight_groups_of_its_own(editor: Neovim) -> None:
    editor.type_and_see(KEYS)
    groups = "local ns = vim.api.nvim_create_namespace('nvim.lsp.inline_completion') "
    groups += "return vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })[1][4].virt_text[1][2]"
    assert editor.lua(groups) == "InfillSuggestion"
    assert editor.lua("return vim.api.nvim_get_hl(0, { name = 'InfillSuggestion', link = false }).ctermfg")


def test_visible_ghost_text_is_accepted_and_reported_by_functions(editor: Neovim) -> None:
    assert editor.lua(VISIBLE) is False
    assert editor.lua("return require('infill').accept()") is False
    editor.type_and_see(KEYS)
    assert editor.lua(VISIBLE) is True
    assert editor.lua("return fake.last('textDocument/didShowCompletion').item.command.arguments") == ["id-1"]
    assert editor.lua("return require('infill').accept()") is True
    editor.reads(TYPED + GHOST)
    editor.wait(lambda: editor.lua(VISIBLE) is False, "it is gone")


def test_with_auto_trigger_off_only_the_key_requests(editor: Neovim) -> None:
    _option(editor, "auto_trigger", "false")
    editor.keys(KEYS)
    editor.reads(TYPED)
    assert editor.type_and_see("<M-\\>").startswith(GHOST)
    assert set(editor.lua(ASKED)) == {1}
    editor.keys("x")
    editor.wait(lambda: editor.lua(VISIBLE) is False, "what the text has left is not shown")


def test_a_snooze_ends_automatic_requests_until_it_is_ended(editor: Neovim) -> None:
    editor.lua("fake.tell('infill/status', { kind = 'ready', message = 'Ready', model = 'local:tiny', provider = 'local' })")
    editor.keys(":Infill snooze 30<CR>")
    editor.wait(lambda: editor.lua("return require('infill').status()") == "○ tiny (snoozed, 30 min)", "the status line shows it")
    editor.keys(KEYS)
    editor.reads(TYPED)
    assert editor.type_and_see("<M-\\>").startswith(GHOST)
    assert set(editor.lua(ASKED)) == {1}
    editor.keys("<Esc>:Infill resume<CR>")
    editor.wait(lambda: editor.lua("return require('infill').status()") == "● tiny", "the status line shows it")
    assert editor.type_and_see("A<BS> ").startswith(GHOST)
    assert 2 in editor.lua(ASKED)


def test_ghost_text_hides_while_neovims_own_menu_is_open(editor: Neovim) -> None:
    editor.lua("vim.o.completeopt = 'menuone,noselect'")
    editor.type_and_see(KEYS + "first")
    editor.keys("<C-x><C-n>")
    editor.wait(lambda: editor.lua("return vim.fn.pumvisible()") == 1, "the menu is open")
    editor.wait(lambda: editor.lua(VISIBLE) is False, "the ghost text is hidden")
    assert editor.lua("return require('infill').accept()") is False
    editor.keys("<C-e>")
    editor.wait(lambda: editor.lua(VISIBLE) is True, "it is back")


def test_other_plugins_hide_ghost_text_by_a_variable(editor: Neovim) -> None:
    editor.lua("vim.b.infill_hidden = true")
    editor.keys(KEYS)
    editor.wait(lambda: editor.lua("return #vim.tbl_keys(fake.sent)") and 2 in editor.lua(ASKED), "it is requested all the same")
    editor.reads(TYPED)
    assert editor.lua(VISIBLE) is False
    assert editor.lua("return require('infill').accept()") is False
    editor.lua("vim.b.infill_hidden = nil")
    assert editor.type_and_see("<BS> ") == GHOST


CMP = """
vim.opt.runtimepath:prepend([[{folder}]])
local cmp = require('cmp')
cmp.register_source('words', {{ complete = function(_, _, done) done({{ {{ label = 'firstborn' }}, {{ label = 'first' }} }}) end }})
cmp.setup({{ sources = {{ {{ name = 'words' }} }}, completion = {{ autocomplete = false }}, mapping = {{
  ['<F5>'] = cmp.mapping.complete(), ['<F6>'] = cmp.mapping.abort() }} }})
"""
BLINK = """
vim.opt.runtimepath:prepend([[{folder}]])
require('blink.cmp').setup({{ fuzzy = {{ implementation = 'lua' }}, completion = {{ menu = {{ auto_show = false }} }}, sources = {{ default = {{ 'buffer' }} }},
  keymap = {{ preset = 'none', ['<F5>'] = {{ 'show' }}, ['<F6>'] = {{ 'hide' }} }} }})
"""


def _hides_beside_a_menu(editor: Neovim, is_open: str) -> None:
    editor.ready()
    editor.type_and_see(KEYS + "fir")
    editor.keys("<F5>")
    editor.wait(lambda: editor.lua(is_open) is True, "the menu is open")
    editor.wait(lambda: editor.lua(VISIBLE) is False, "the ghost text is hidden")
    assert editor.lua("return require('infill').accept()") is False
    editor.keys("<F6>")
    editor.wait(lambda: editor.lua(is_open) is False, "the menu is closed")
    editor.wait(lambda: editor.lua(VISIBLE) is True, "the ghost text is back")


@pytest.mark.skipif("INFILL_TEST_CMP" not in os.environ, reason="INFILL_TEST_CMP names no folder with nvim-cmp")
def test_ghost_text_hides_beside_the_menu_of_nvim_cmp(nvim: Path, tmp_path: Path) -> None:
    (tmp_path / "numbers.py").write_text("")
    init = FAKE + CMP.format(folder=os.environ["INFILL_TEST_CMP"])
    with neovim(nvim, tmp_path / "nvim", [sys.executable, "lsp"], tmp_path / "numbers.py", init=init) as editor:
        _hides_beside_a_menu(editor, "return require('cmp').visible()")


@pytest.mark.skipif("INFILL_TEST_BLINK" not in os.environ, reason="INFILL_TEST_BLINK names no folder with blink.cmp 1")
def test_ghost_text_hides_beside_the_menu_of_blink_cmp(nvim: Path, tmp_path: Path) -> None:
    (tmp_path / "numbers.py").write_text("")
    init = FAKE + BLINK.format(folder=os.environ["INFILL_TEST_BLINK"])
    with neovim(nvim, tmp_path / "nvim", [sys.executable, "lsp"], tmp_path / "numbers.py", init=init) as editor:
        _hides_beside_a_menu(editor, "return require('blink.cmp').is_menu_visible()")


def test_a_buffer_without_filetype_is_told_what_is_missing_and_one_with_it_is_completed(editor: Neovim) -> None:
    editor.keys(":enew<CR>")
    editor.wait(lambda: editor.lua("return vim.api.nvim_buf_get_name(0)") == "", "the buffer has no name")
    assert editor.lua("return require('infill.status').sentence()").startswith("This buffer has no filetype")
    editor.keys(":set filetype=python<CR>")
    editor.ready()
    assert editor.type_and_see(KEYS) == GHOST


def test_commit_messages_are_completed(editor: Neovim, tmp_path: Path) -> None:
    editor.keys(f":edit {tmp_path / 'COMMIT_EDITMSG'}<CR>")
    editor.wait(lambda: editor.lua("return vim.bo.filetype") == "gitcommit", "it is a commit message")
    editor.ready()
    assert editor.type_and_see("ISpeed up the ") == GHOST
