"""Next edits in a real Neovim: shown in normal and in insert mode, gone to, applied, dismissed; the saved file is what counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nvim import Neovim, neovim

pytestmark = pytest.mark.editors
TEXT = "def total(items, rate):\n    s = 0\n    for item in items:\n        s += item.price * rate\n    print(rate)\n    return s\n"
SHOWN = "local edit = require('infill.next_edit').get() return edit and edit.range.start.line + 1 or 0"
CURSOR = "return vim.api.nvim_win_get_cursor(0)[1]"
MARKS = """
local ns = vim.api.nvim_get_namespaces()['infill.next_edit']
return #vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, {})
"""


@pytest.fixture
def editor(nvim: Path, infill: list[str], tmp_path: Path) -> Iterator[Neovim]:
    file = tmp_path / "work" / "shop.py"
    file.parent.mkdir()
    file.write_text(TEXT)
    with neovim(nvim, tmp_path / "nvim", [*infill, "lsp"], file, init="vim.cmd('filetype indent off')") as one:
        one.ready()
        yield one


def _renamed(editor: Neovim, keys: str = "<Esc>") -> None:
    editor.keys(f"ggfrcwtax{keys}")
    editor.wait(lambda: editor.lua(SHOWN) == 4, "the use on line 4 is suggested")


def test_one_key_goes_to_the_next_edit_and_the_same_key_applies_it(editor: Neovim) -> None:
    _renamed(editor)
    editor.keys("<M-n>")
    editor.wait(lambda: editor.lua(CURSOR) == 4, "the cursor is there")
    assert "price * rate" in editor.text
    editor.keys("<M-n>")
    editor.wait(lambda: "price * tax" in editor.text, "it is applied")
    editor.wait(lambda: editor.lua(SHOWN) == 5, "the next one of the chain is suggested")
    editor.keys("<C-o>")
    editor.wait(lambda: editor.lua(CURSOR) == 1, "the jump is in the jumplist")
    assert editor.saved() == TEXT.replace("rate):", "tax):").replace("price * rate", "price * tax")


def test_all_edits_of_a_rename_are_applied_in_one_undo_step(editor: Neovim) -> None:
    _renamed(editor)
    editor.keys("<M-a>")
    editor.reads(TEXT.replace("rate", "tax").removesuffix("\n"))
    editor.keys("u")
    editor.reads(TEXT.replace("rate):", "tax):").removesuffix("\n"))
    assert "price * rate" in editor.text


def test_next_edits_work_while_inserting_and_escape_is_not_mapped(editor: Neovim) -> None:
    _renamed(editor, keys="")
    editor.keys("<M-n><M-n>")
    editor.wait(lambda: "price * tax" in editor.text, "it is applied")
    assert editor.call("nvim_get_mode")["mode"] == "i"
    assert editor.lua("return vim.fn.maparg('<Esc>', 'i') .. vim.fn.maparg('<Esc>', 'n')") == ""


def test_a_dismissed_edit_is_gone_and_does_not_come_back(editor: Neovim) -> None:
    _renamed(editor)
    assert editor.lua(MARKS) > 0
    editor.keys("<M-e>")
    editor.wait(lambda: not editor.lua(MARKS), "nothing is drawn any more")
    editor.keys("Gox = 1<Esc>")
    explained = "vim.lsp.get_clients({ name = 'infill' })[1]:request('workspace/executeCommand', { command = 'infill.explain' }, "
    explained += "function(_, told) _G.told = told.nextEdit.reason end)"
    editor.wait(lambda: editor.lua(f"{explained} return _G.told") == "no rule applies", "the server was asked again, and has nothing")
    assert editor.lua(SHOWN) == 0


def test_typing_on_clears_what_was_drawn_for_the_text_before(editor: Neovim) -> None:
    _renamed(editor)
    editor.keys("x")
    editor.wait(lambda: not editor.lua(MARKS) or editor.lua(SHOWN), "no mark stands without its suggestion")
    assert editor.saved().startswith("def total(")
