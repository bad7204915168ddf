"""Neovim beyond typing: a model downloaded from a hub on loopback, cancelled, resumed and switched to; code generated, accepted and discarded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nvim import Neovim, neovim

from infill import paths

pytestmark = pytest.mark.editors
TEXT = "def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return first - second\n\n\ndef multiply(first, second):\n"
CATALOGUE = '[[model]]\nid = "other"\ntitle = "The other one"\nsource = "maker/other:other.gguf"\nfim_order = "spm"\nlicence = "MIT"\n'
# stands in for a picker: takes the entry whose line has the wanted words, and keeps every line
SELECT = """
_G.lines, _G.prompts, _G.wanted = {}, {}, nil
vim.ui.select = function(items, options, choose)
  _G.prompts[#_G.prompts + 1] = options.prompt or ''
  for index, item in ipairs(items) do
    local line = (options.format_item or tostring)(item)
    _G.lines[#_G.lines + 1] = line
    if _G.wanted and line:find(_G.wanted, 1, true) then return choose(item, index) end
  end
  choose(nil)
end
_G.progress = {}
vim.api.nvim_create_autocmd('LspProgress', { callback = function(event)
  local token, value = event.data.params.token, event.data.params.value
  if value.kind == 'begin' and value.title:find('downloading') then
    _G.download = token
  elseif token == _G.download then
    _G.progress[#_G.progress + 1] = value.kind .. ' ' .. (value.percentage or '')
  end
end })
"""
PREVIEW = """
local ns = vim.api.nvim_create_namespace('infill.generate')
local mark = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })[1]
if not mark or not mark[4].virt_lines then return '' end
local lines = {}
for _, line in ipairs(mark[4].virt_lines) do
  if (line[1][2] == 'DiagnosticWarn') == NOTES then lines[#lines + 1] = line[1][1] end
end
return table.concat(lines, '\\n')
"""
NOTES, PREVIEW = PREVIEW.replace("NOTES", "true"), PREVIEW.replace("NOTES", "false")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A hub on loopback that hands out the bundled model as another one: slowly enough to be watched, and half of it at first."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "models")
    from hub import Hub

    model = paths.bundled_model()
    with Hub() as one:
        one.add("maker/other", "other.gguf", model)
        one.slow = 2_000_000
        one.fault("stall", after=model.stat().st_size // 2)
        yield one


@pytest.fixture
def editor(nvim: Path, infill: list[str], tmp_path: Path, hub: Any) -> Iterator[Neovim]:
    home = tmp_path / "nvim"
    config = home / "infill" / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "models.toml").write_text(CATALOGUE)
    file = tmp_path / "work" / "numbers.py"
    file.parent.mkdir()
    file.write_text(TEXT)
    extra = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "huggingface"), "NO_PROXY": "*"}
    init = f"vim.o.autoindent = false vim.cmd('filetype indent off')\n{SELECT}"
    with neovim(nvim, home, [*infill, "lsp"], file, init=init, extra=extra) as one:
        one.ready()
        yield one


def _progress(editor: Neovim) -> list[str]:
    """What was told of the download after its beginning."""
    return [str(line) for line in editor.lua("return _G.progress")]


def _half_way(editor: Neovim) -> bool:
    return any(int(line.split()[1]) > 5 for line in _progress(editor) if line.startswith("report ") and line.split()[1:])


def test_a_model_is_chosen_its_download_cancelled_and_resumed_and_it_then_answers(editor: Neovim, hub: Any) -> None:
    editor.lua("_G.wanted = 'The other one'")
    editor.keys(":Infill models<CR>")
    editor.wait(lambda: _half_way(editor), "the download tells how far it is")
    lines = [str(line) for line in editor.lua("return _G.lines")]
    assert any("✓" in line for line in lines), "there are fit marks"
    editor.keys(":Infill download cancel<CR>")
    editor.wait(lambda: "end " in _progress(editor), "the download has ended")
    kept = [path for path in editor.home.rglob("*.part") if path.stat().st_size]
    assert kept, "what has arrived is kept"
    assert not any(seen.range for seen in hub.requests)
    editor.keys(":Infill models<CR>")
    editor.wait(lambda: "other is chosen" in editor.messages(), "the model was fetched and chosen")
    assert any(seen.range for seen in hub.requests), "it went on from what had arrived"
    assert not list(editor.home.rglob("*.part"))
    ghost = editor.type_and_see("Go    return ")
    editor.keys("<Tab>")
    editor.reads(f"{TEXT}    return {ghost}")
    assert editor.saved() == f"{TEXT}    return {ghost}\n"
    editor.wait(lambda: editor.lua("return require('infill.status').component()").endswith("other"), "the statusline names it")


def _generated(editor: Neovim) -> str:
    editor.keys("G:Infill generate<CR>")
    preview = editor.wait(lambda: "discards ·" in editor.lua(PREVIEW) and editor.lua(PREVIEW), "the finished preview is shown")
    assert str(editor.lua(NOTES)).strip(), "the server's notes on the built-in model are shown"
    return str(preview).partition("\n")[2]


def test_generated_code_is_previewed_accepted_and_undone_as_one_change(editor: Neovim) -> None:
    editor.keys("G$")
    shown = _generated(editor)
    assert editor.text == TEXT.rstrip("\n"), "nothing is in the text yet"
    editor.keys(":Infill accept<CR>")
    editor.wait(lambda: editor.text != TEXT.rstrip("\n"), "the code is in the text")
    saved = editor.saved()
    assert shown.strip()
    assert shown.strip() in saved
    assert saved.startswith(TEXT.rstrip("\n"))
    editor.keys("u")
    editor.wait(lambda: editor.text == TEXT.rstrip("\n"), "one undo takes all of it back")


def test_discarded_generated_code_leaves_nothing(editor: Neovim) -> None:
    _generated(editor)
    editor.keys(":Infill discard<CR>")
    editor.wait(lambda: not editor.lua(PREVIEW), "the preview is gone")
    editor.keys("Go# end<Esc>")
    assert editor.saved() == f"{TEXT}# end\n"


def test_a_new_user_is_told_once_which_model_this_machine_can_run(editor: Neovim) -> None:
    editor.type_and_see("Go    return ")
    editor.keys("<Esc>")
    told = editor.wait(lambda: [line for line in editor.messages().splitlines() if "This machine can run" in line], "it is told")
    assert len(told) == 1
    assert told[0].endswith("(:Infill models)")
    assert not editor.lua("return _G.prompts"), "nothing waits for an answer"
