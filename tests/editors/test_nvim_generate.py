"""Generated code in Neovim: the rewrite looks like a diff, keys act on it while it is there, it can be edited, changed and written again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nvim import FAKE, Neovim, neovim

pytestmark = pytest.mark.editors
TEXT = "def add(first, second):\n    return first + second\n\n\nx = 1\n"
# answers a rewrite of the first two lines, and anything else below the last one
GENERATE = """
fake.asked, fake.answer = {}, 'def add(*numbers):\\n    return sum(numbers)'
fake.commands['infill.generate'] = function(argument)
  fake.asked[#fake.asked + 1] = argument
  local range = argument.range or { start = { line = 4, character = 5 }, ['end'] = { line = 4, character = 5 } }
  local edit = { textDocument = { uri = argument.uri, version = vim.NIL }, edits = { { range = range, newText = fake.answer } } }
  return { id = '1', text = fake.answer, edit = { documentChanges = { edit } }, model = 'local:tiny', notes = { 'A note.' }, details = {} }
end
"""
MARKS = """
local ns, removed, added, notes = vim.api.nvim_create_namespace('infill.generate'), {}, {}, {}
for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })) do
  if mark[4].line_hl_group == 'InfillRemoved' then removed[#removed + 1] = mark[2] end
  for _, line in ipairs(mark[4].virt_lines or {}) do
    local kind = line[1][2] == 'DiagnosticWarn' and notes or (line[1][2] == 'InfillAdded' or line[1][2] == 'InfillSuggestion') and added
    if kind then kind[#kind + 1] = line[1][1] end
  end
end
return { removed, added, notes }
"""
ANSWER = ["def add(*numbers):", "    return sum(numbers)"]
REWRITTEN = TEXT.removesuffix("\n").replace("first, second", "*numbers").replace("first + second", "sum(numbers)")
ESCAPE = "return vim.fn.maparg('<Esc>', 'n')"


@pytest.fixture
def editor(nvim: Path, tmp_path: Path) -> Iterator[Neovim]:
    (tmp_path / "numbers.py").write_text(TEXT)
    with neovim(nvim, tmp_path / "nvim", [sys.executable, "lsp"], tmp_path / "numbers.py", init=FAKE + GENERATE) as one:
        one.ready()
        yield one


def _rewrite(editor: Neovim) -> None:
    editor.keys(":1,2Infill generate take any number<CR>")
    editor.wait(lambda: editor.lua(MARKS)[1] == ANSWER, "the new lines are shown")


def test_a_rewrite_shows_the_replaced_lines_as_removed_and_the_notes(editor: Neovim) -> None:
    _rewrite(editor)
    removed, added, notes = editor.lua(MARKS)
    assert (removed, added) == ([0, 1], ANSWER)
    assert "A note." in "".join(notes)
    assert editor.text == TEXT.removesuffix("\n"), "nothing is in the text yet"


def test_enter_accepts_generated_code_and_then_is_itself_again(editor: Neovim) -> None:
    editor.lua("vim.keymap.set('n', '<Esc>', '<Cmd>let g:escaped = 1<CR>', { buffer = 0 })")
    _rewrite(editor)
    assert "infill" in editor.lua(ESCAPE)
    editor.keys("<CR>")
    editor.reads(REWRITTEN)
    assert "escaped" in editor.lua(ESCAPE), "the buffer's own mapping is back"
    assert editor.lua("return vim.fn.maparg('<CR>', 'n')") == ""
    editor.keys("u")
    editor.reads(TEXT.removesuffix("\n"))


def test_escape_discards_generated_code(editor: Neovim) -> None:
    _rewrite(editor)
    editor.keys("<Esc>")
    editor.wait(lambda: editor.lua(MARKS) == [[], [], []], "nothing is shown any more")
    assert editor.text == TEXT.removesuffix("\n")
    assert editor.lua(ESCAPE) == ""


def test_generated_code_is_edited_before_it_is_accepted(editor: Neovim) -> None:
    _rewrite(editor)
    editor.keys(":Infill edit<CR>")
    editor.wait(lambda: editor.text.split("\n") == ANSWER, "it is in a window of its own")
    editor.keys("gg:%s/numbers/values/g<CR>")
    editor.wait(lambda: "values" in editor.text, "it is edited")
    editor.keys("<CR>")
    editor.reads(REWRITTEN.replace("numbers", "values"))
    assert editor.lua("return #vim.api.nvim_list_wins()") == 1


def test_a_result_longer_than_the_window_opens_where_it_scrolls(editor: Neovim) -> None:
    editor.lua("fake.answer = ('x = 1\\n'):rep(80)")
    editor.keys("G:Infill generate many<CR>")
    editor.wait(lambda: editor.lua("return #vim.api.nvim_list_wins()") == 2, "there is a window for it")
    assert editor.text == TEXT.removesuffix("\n"), "the cursor stays in the file"
    editor.keys("<Esc>")
    editor.wait(lambda: editor.lua("return #vim.api.nvim_list_wins()") == 1, "the window is closed")


def test_a_follow_up_sends_the_last_answer_and_the_change(editor: Neovim) -> None:
    _rewrite(editor)
    editor.lua("fake.answer = 'def add(*values):\\n    return sum(values)'")
    editor.keys(":Infill followup call them values<CR>")
    editor.wait(lambda: "values" in "".join(editor.lua(MARKS)[1]), "the new answer is shown")
    instruction = editor.lua("return fake.asked[2].instruction")
    assert instruction.startswith("take any number\n")
    assert "\n".join(ANSWER) in instruction
    assert instruction.endswith("Change it: call them values")
    editor.keys("<CR>")
    editor.reads(REWRITTEN.replace("numbers", "values"))


def test_the_prompt_remembers_earlier_instructions(editor: Neovim) -> None:
    editor.keys(":Infill prompt<CR>sum them<CR>")
    editor.wait(lambda: editor.lua("return #fake.asked") == 1, "the instruction is sent")
    editor.keys("<Esc>:Infill prompt<CR><Up><CR>")
    editor.wait(lambda: editor.lua("return #fake.asked") == 2, "it is sent again")
    assert editor.lua("return { fake.asked[1].instruction, fake.asked[2].instruction }") == ["sum them", "sum them"]


def test_errors_of_the_server_name_commands_of_neovim(editor: Neovim) -> None:
    error = "{ error = { code = -32803, message = 'There is no model x. `infill models list` shows those that are installed.' } }"
    editor.lua(f"fake.commands['infill.generate'] = function() return {error} end")
    editor.keys(":Infill generate x<CR>")
    editor.wait(lambda: "There is no model x. :Infill models shows those that are installed." in editor.messages(), "the error is shown")
    assert editor.lua(ESCAPE) == "", "the keys are not left mapped"


def test_explain_begins_with_one_sentence(editor: Neovim) -> None:
    editor.lua("fake.commands['infill.explain'] = function() return { suggestions = 0, reason = 'the model gave nothing', latencyMs = 12.34567 } end")
    editor.keys(":Infill explain<CR>")
    editor.wait(lambda: editor.text.startswith("No suggestion: the model gave nothing."), "the sentence is first")
    assert "latencyMs: 12.3" in editor.text
