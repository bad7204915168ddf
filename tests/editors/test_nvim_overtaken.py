"""Neovim does not cancel what it asked while the user types on. The server drops it by itself, down to the connection to who was to answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nvim import PATIENCE, Neovim, neovim
from nvim_peer import Peer, peer

pytestmark = pytest.mark.editors
TEXT = "def add(first, second):\n    return first + second\n\n\n"
TYPED = f"{TEXT}def plus(first, second):\n    return "
# counts what Neovim takes back, and what it has asked and not been answered
WATCH = """
local client = vim.lsp.get_clients({ name = 'infill' })[1]
_G.cancelled = 0
local notify = client.rpc.notify
client.rpc.notify = function(method, ...)
  if method == '$/cancelRequest' then _G.cancelled = _G.cancelled + 1 end
  return notify(method, ...)
end
_G.pending = function()
  return #vim.tbl_filter(function(request)
    return request.type == 'pending' and request.method == 'textDocument/inlineCompletion'
  end, vim.tbl_values(client.requests))
end
"""


@pytest.fixture
def slow() -> Iterator[Peer]:
    with peer() as one:
        yield one


@pytest.fixture
def editor(nvim: Path, infill: list[str], tmp_path: Path, slow: Peer) -> Iterator[Neovim]:
    file = tmp_path / "work" / "numbers.py"
    (file.parent / ".git").mkdir(parents=True)
    file.write_text(TEXT)
    remote = f"remote = {{ slow = {{ kind = 'llamacpp', url = '{slow.url}', timeoutMs = 120000 }} }}"
    settings = f"{{ providers = {{ order = {{ 'llamacpp:slow' }}, {remote} }}, completion = {{ deadlineMs = 120000 }} }}"
    init = (
        f"vim.g.infill = vim.tbl_extend('force', vim.g.infill, {{ settings = {settings} }}) vim.o.autoindent = false vim.cmd('filetype indent off')"
    )
    with neovim(nvim, tmp_path / "nvim", [*infill, "lsp"], file, init=init) as one:
        one.ready()
        yield one


def test_neovim_cancels_nothing_while_typing_and_what_is_overtaken_is_dropped_all_the_same(editor: Neovim, slow: Peer) -> None:
    editor.lua(WATCH)
    editor.keys("Godef plus(first, second):<CR>    return ")
    assert slow.asked.get(timeout=PATIENCE).endswith("return ")
    assert editor.lua("return _G.pending()") == 1, "the question is not answered yet"
    editor.keys("first")
    assert slow.dropped.get(timeout=PATIENCE).endswith("return "), "whoever was to answer is told that nobody waits"
    assert slow.asked.get(timeout=PATIENCE).endswith("return first")
    editor.wait(lambda: editor.ghost == " + second", "the newer question is answered")
    assert editor.lua("return _G.pending()") == 0, "every question has its answer"
    assert editor.lua("return _G.cancelled") == 0, "Neovim took nothing back"
    editor.keys("<Tab>")
    editor.reads(f"{TYPED}first + second")
    assert editor.saved() == f"{TYPED}first + second\n"
