"""The model has read the place where the cursor is put before the first key falls there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nvim import Neovim, neovim

pytestmark = pytest.mark.editors
LONG = "".join(f"def function_{i}(first, second):\n    total = first * {i} + second\n    return total - {i}\n\n\n" for i in range(160))
RUN = """
local client = vim.lsp.get_clients({ name = 'infill' })[1]
return client:request_sync('workspace/executeCommand', { command = ..., arguments = {} }, 60000, 0).result
"""
# without a key: neither the text nor the cursor is touched
ASK = """
local client = vim.lsp.get_clients({ name = 'infill' })[1]
local place = vim.lsp.util.make_position_params(0, client.offset_encoding)
client:request_sync('textDocument/inlineCompletion', vim.tbl_extend('force', place, { context = { triggerKind = 1 } }), 60000, 0)
"""
FEW = 8
"""Tokens. The whole prompt at these places has hundreds."""


@pytest.fixture
def editor(nvim: Path, infill: list[str], tmp_path: Path) -> Iterator[Neovim]:
    """One with the model in memory, and two long files beside the one that is open."""
    work = tmp_path / "work"
    work.mkdir()
    for name, text in (("short.py", "def add(first, second):\n"), ("long.py", LONG), ("other.py", LONG)):
        (work / name).write_text(text)
    with neovim(nvim, tmp_path / "nvim", [*infill, "lsp"], work / "short.py") as one:
        one.ready()
        one.lua(f"vim.cmd.cd([[{work}]])")
        one.type_and_see("A<CR>    return ")
        one.keys("<Esc>:write<CR>")
        yield one


def _read(editor: Neovim, name: str) -> int:
    """How many tokens the model holds of the file; 0 while it is reading."""
    engine: dict[str, Any] = editor.lua(RUN, "infill.status")["engine"]
    if engine["background"]:
        return 0
    return sum(slot["tokens"] for model in engine["models"] for slot in model["slots"] if slot["slot"].endswith(name))


def _evaluated(editor: Neovim) -> int:
    """How many tokens of the prompt a question at the cursor has to wait for."""
    editor.lua(ASK)
    answer: dict[str, int] = editor.lua(RUN, "infill.explain")["answer"]
    return answer["tokensEvaluated"]


def test_where_a_file_is_opened_and_where_one_jumps_in_it_is_read_before_the_first_key(editor: Neovim) -> None:
    editor.keys(":edit long.py<CR>")
    top = editor.wait(lambda: _read(editor, "long.py"), "the file's top is read")
    editor.keys("G")
    editor.wait(lambda: _read(editor, "long.py") > top, "the file's end is read")
    assert _evaluated(editor) <= FEW
    editor.keys(":edit +400 other.py<CR>")
    editor.wait(lambda: _read(editor, "other.py") > top, "the place where the file was opened is read")
    assert _evaluated(editor) <= FEW
