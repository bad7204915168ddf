"""Neovim beyond typing: a model downloaded from a hub on loopback, cancelled, resumed and switched to; code generated, accepted and discarded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nvim import Neovim, neovim

from infill import paths

pytestmark = pytest.mark.editors
HUB = Path(__file__).parents[1] / "models" / "hub.py"
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
  local value = event.data.params.value
  _G.progress[#_G.progress + 1] = ('%s %s %s'):format(value.kind, value.title or '', value.percentage or '')
end })
"""
PREVIEW = """
local ns = vim.api.nvim_create_namespace('infill.generate')
local mark = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })[1]
if not mark or not mark[4].virt_lines then return '' end
local lines = {}
for _, line in ipairs(mark[4].virt_lines) do lines[#lines + 1] = line[1][1] end
return table.concat(lines, '\\n')
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A hub on loopback that hands out the bundled model as another one, slowly enough to be watched."""
    command = [sys.executable, str(HUB), f"maker/other:other.gguf={paths.bundled_model()}", "--slow", "2000000"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.kill()


@pytest.fixture
def editor(nvim: Path, infill: list[str], tmp_path: Path, address: str) -> Iterator[Neovim]:
    home = tmp_path / "nvim"
    config = home / "infill" / "config"
    config.mkdir(parents=True)
    (config / "models.toml").write_text(CATALOGUE)
    file = tmp_path / "work" / "numbers.py"
    file.parent.mkdir()
    file.write_text(TEXT)
    extra = {"HF_ENDPOINT": address, "HF_HOME": str(home / "huggingface"), "NO_PROXY": "*"}
    init = f"vim.o.autoindent = false vim.cmd('filetype indent off')\n{SELECT}"
    with neovim(nvim, home, [*infill, "lsp"], file, init=init, extra=extra) as one:
        one.ready()
        yield one


def _saved(editor: Neovim) -> str:
    editor.keys("<Esc>:write<CR>")
    editor.wait(lambda: not editor.lua("return vim.bo.modified"), "the file is saved")
    return Path(editor.lua("return vim.api.nvim_buf_get_name(0)")).read_text()


def _progress(editor: Neovim) -> list[str]:
    return [str(line) for line in editor.lua("return _G.progress")]


def _half_way(editor: Neovim) -> bool:
    return any(line.startswith("report") and line.split()[-1].isdigit() and int(line.split()[-1]) > 5 for line in _progress(editor))


def test_a_model_is_chosen_its_download_cancelled_and_resumed_and_it_then_answers(editor: Neovim) -> None:
    editor.lua("_G.wanted = 'The other one'")
    editor.keys(":Infill models<CR>")
    editor.wait(lambda: _half_way(editor), "the download tells how far it is", 60)
    lines = [str(line) for line in editor.lua("return _G.lines")]
    assert any("✓" in line for line in lines), "there are fit marks"
    editor.keys(":Infill download cancel<CR>")
    editor.wait(lambda: _progress(editor)[-1].startswith("end"), "the download has ended", 60)
    kept = [path for path in editor.home.rglob("*.part") if path.stat().st_size]
    assert kept, "what has arrived is kept"
    editor.keys(":Infill models<CR>")
    editor.wait(lambda: "other is chosen" in editor.messages(), "the model was fetched and chosen", 90)
    assert not list(editor.home.rglob("*.part"))
    ghost = editor.type_and_see("Go    return ", 60)
    editor.keys("<Tab>")
    editor.wait(lambda: not editor.ghost, "the ghost text is gone")
    assert _saved(editor) == f"{TEXT}    return {ghost}\n"
    editor.wait(lambda: editor.lua("return require('infill.status').component()").endswith("other"), "the statusline names it")


def _generated(editor: Neovim) -> str:
    editor.keys("G:Infill generate<CR>")
    preview = editor.wait(lambda: ":Infill accept" in editor.lua(PREVIEW) and editor.lua(PREVIEW), "the finished preview is shown", 90)
    return str(preview).rpartition("\n")[0]


def test_generated_code_is_previewed_accepted_and_undone_as_one_change(editor: Neovim) -> None:
    editor.keys("G$")
    shown = _generated(editor)
    assert editor.text == TEXT.rstrip("\n"), "nothing is in the text yet"
    editor.keys(":Infill accept<CR>")
    editor.wait(lambda: editor.text != TEXT.rstrip("\n"), "the code is in the text")
    saved = _saved(editor)
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
    assert _saved(editor) == f"{TEXT}# end\n"


def test_a_new_user_is_asked_once_in_words_that_name_the_model_and_its_size(editor: Neovim) -> None:
    editor.lua("_G.wanted = 'Not now'")
    editor.type_and_see("Go    return ")
    prompt = editor.wait(
        lambda: "This machine can run" in str(editor.lua("return _G.prompts")) and editor.lua("return _G.prompts")[-1], "it is asked", 90
    )
    assert "GB to download" in prompt or "MB to download" in prompt
    assert "Not now" in str(editor.lua("return _G.lines"))
