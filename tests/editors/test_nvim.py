"""The Neovim plugin in a real Neovim, against the real server, the real engine and the bundled model. The saved file is what counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from nvim import Neovim, neovim

pytestmark = pytest.mark.editors
PATTERN = "def add(first, second):\n    return first + second\n\n\ndef subtract(first, second):\n    return first - second\n\n\n"
START = "def multiply(first, second):<CR>    return "
TYPED = PATTERN + "def multiply(first, second):\n    return "


@pytest.fixture
def editor(nvim: Path, infill: list[str], tmp_path: Path) -> Iterator[Neovim]:
    file = tmp_path / "work" / "numbers.py"
    file.parent.mkdir()
    file.write_text(PATTERN)
    with neovim(nvim, tmp_path / "nvim", [*infill, "lsp"], file, init="vim.o.autoindent = false vim.cmd('filetype indent off')") as one:
        one.ready()
        yield one


def _engine(infill: list[str], home: Path, verb: str) -> str:
    return subprocess.run(
        [*infill, "engine", verb, "--json"], env=os.environ | {"INFILL_HOME": str(home / "infill")}, capture_output=True, text=True, check=False
    ).stdout


def test_tab_takes_the_whole_suggestion_into_the_file(editor: Neovim) -> None:
    ghost = editor.type_and_see(f"Go{START}")
    editor.keys("<Tab>")
    editor.reads(TYPED + ghost)
    assert editor.saved() == f"{TYPED}{ghost}\n"


def test_typing_through_a_suggestion_before_the_next_answer_leaves_nothing_behind(editor: Neovim) -> None:
    ghost = editor.type_and_see(f"Go{START}")
    editor.keys(ghost[0] + "<Tab>")
    editor.reads(TYPED + ghost)
    assert editor.saved() == f"{TYPED}{ghost}\n"


def test_a_word_is_taken_and_the_rest_stays_as_ghost_text(editor: Neovim) -> None:
    ghost = editor.type_and_see(f"Go{START}")
    editor.keys("<M-Right>")
    editor.wait(lambda: editor.text != TYPED, "a word is in the text")
    taken = editor.text[len(TYPED) :]
    assert ghost.startswith(taken)
    assert taken.strip()
    # the next request may find that the answer has grown since
    editor.wait(lambda: editor.ghost.startswith(ghost[len(taken) :]), "the rest stays")
    editor.keys("<Tab>")
    editor.wait(lambda: editor.text.startswith(TYPED + ghost), "the rest is in the text")
    assert editor.saved() == f"{editor.text}\n"


def test_a_line_is_taken_and_the_file_has_exactly_that_line_more(editor: Neovim) -> None:
    ghost = editor.type_and_see(f"Go{START}")
    editor.keys("<M-Down>")
    first = ghost.partition("\n")[0]
    editor.reads(TYPED + first)
    assert editor.saved() == f"{TYPED}{first}\n"


def test_dismissed_means_gone_and_nothing_is_left_in_the_file(editor: Neovim) -> None:
    editor.type_and_see(f"Go{START}")
    editor.keys("<C-]>")
    editor.wait(lambda: not editor.ghost, "the ghost text is gone")
    assert editor.saved() == f"{TYPED}\n"


def test_asked_by_key_the_candidates_can_be_cycled(editor: Neovim) -> None:
    editor.type_and_see(f"Go{START}")
    editor.keys("<M-\\>")
    # Neovim's own state: on the screen it writes the number of the candidate behind its text
    state = "local state = require('vim.lsp._capability').all.inline_completion.active[vim.api.nvim_get_current_buf()] "
    editor.wait(lambda: editor.lua(f"{state} return state:count_items()") > 1, "there are several candidates")
    first = editor.lua(f"{state} return state.current.insert_text")
    editor.keys("<M-]>")
    editor.wait(lambda: editor.lua(f"{state} return state.current._index") == 2, "another candidate shows")
    second = editor.lua(f"{state} return state.current.insert_text")
    assert second != first
    editor.keys("<Tab>")
    editor.reads(TYPED + second)
    assert editor.saved() == f"{TYPED}{second}\n"


def test_text_that_is_not_ascii_before_the_cursor_leaves_every_position_right(editor: Neovim) -> None:
    line = "naïve = '😀 e\u0301'; total = add(1, "
    ghost = editor.type_and_see(f"Go{line}")
    editor.keys("<Tab>")
    editor.reads(f"{PATTERN}{line}{ghost}")
    assert editor.saved() == f"{PATTERN}{line}{ghost}\n"


def test_what_was_typed_while_the_server_started_is_completed_without_another_key(nvim: Path, infill: list[str], tmp_path: Path) -> None:
    file = tmp_path / "early.py"
    file.write_text(PATTERN)
    with neovim(nvim, tmp_path / "nvim", [*infill, "lsp"], file) as editor:
        editor.keys(f"Go{START}")
        assert not editor.lua("return #vim.lsp.get_clients({ bufnr = 0, method = 'textDocument/inlineCompletion' })"), "typed before it was there"
        assert editor.type_and_see("")


MAPPED = {
    "an expression in Lua": "vim.keymap.set('i', '<Tab>', function() return 'from-before' end, { expr = true })",
    "a function": "vim.keymap.set('i', '<Tab>', function() vim.api.nvim_put({ 'from-before' }, 'c', false, true) end)",
    "keys": "vim.cmd('inoremap <Tab> from-before')",
    "keys that are mapped themselves": "vim.cmd('inoremap <F9> from-before') vim.cmd('imap <Tab> <F9>')",
    "an expression": "vim.cmd([[inoremap <expr> <Tab> 'from-' .. 'before']])",
}


@pytest.mark.parametrize("mapping", MAPPED)
def test_tab_without_a_suggestion_does_what_it_did_before(nvim: Path, infill: list[str], tmp_path: Path, mapping: str) -> None:
    file = tmp_path / "plain.py"
    file.write_text("x = 1\n")
    with neovim(nvim, tmp_path / "nvim", [*infill, "lsp"], file, init=MAPPED[mapping]) as editor:
        editor.ready()
        editor.keys("O<C-]><Tab>")
        editor.wait(lambda: "from-before" in editor.text, "the old mapping ran")
        assert editor.saved() == "from-before\nx = 1\n"


def test_tab_in_the_popup_is_left_to_the_popup(editor: Neovim) -> None:
    editor.lua("vim.o.completeopt = 'menuone' vim.bo.expandtab = false vim.bo.softtabstop = 0")
    editor.keys("Gosub<C-x><C-n>")
    editor.wait(lambda: editor.lua("return vim.fn.pumvisible() == 1 and vim.fn.complete_info({'selected'}).selected ~= -1"), "the popup is open")
    editor.keys("<Tab>")
    editor.wait(lambda: editor.lua("return vim.fn.pumvisible()") == 0, "the popup is closed")
    assert "subtract\t" in editor.saved()


def test_a_killed_engine_under_a_suggestion_costs_nothing(editor: Neovim, infill: list[str]) -> None:
    ghost = editor.type_and_see(f"Go{START}")
    pid = json.loads(_engine(infill, editor.home, "status"))["pid"]
    os.kill(pid, signal.SIGKILL)
    editor.keys("<Tab>")
    editor.reads(TYPED + ghost)
    assert editor.type_and_see("<CR><CR><CR>def divide(first, second):<CR>    return ")
    assert json.loads(_engine(infill, editor.home, "status"))["pid"] != pid


def test_a_killed_server_can_be_started_again_by_command(editor: Neovim) -> None:
    editor.type_and_see(f"Go{START}")
    os.kill(_server_pid(editor), signal.SIGKILL)
    editor.wait(lambda: not editor.lua("return #vim.lsp.get_clients({ name = 'infill' })"), "the server is gone")
    editor.keys("<Esc>:Infill restart<CR>")
    editor.ready()
    assert editor.type_and_see("A<BS> ")


def _server_pid(editor: Neovim) -> int:
    children = psutil.Process(editor.lua("return vim.fn.getpid()")).children()
    (server,) = (child for child in children if "lsp" in child.cmdline())
    return server.pid


def test_switched_off_for_the_language_means_no_suggestion(editor: Neovim) -> None:
    editor.keys(":Infill toggle python<CR>")
    editor.wait(lambda: "Completions are off for python." in editor.messages(), "it says that it is off")
    editor.keys(f"Go{START}")
    editor.reads(TYPED)
    asked = (
        "local client = vim.lsp.get_clients({ name = 'infill' })[1] "
        "local answer = client:request_sync('textDocument/inlineCompletion', vim.tbl_extend('force', "
        "vim.lsp.util.make_position_params(0, client.offset_encoding), { context = { triggerKind = 2 } }), 60000, 0) "
        "return answer.result and #(answer.result.items or answer.result) or 0"
    )
    assert editor.lua(asked) == 0
    assert not editor.ghost


def test_checkhealth_says_what_is_right_and_names_the_next_step(editor: Neovim) -> None:
    editor.keys(":checkhealth infill<CR>")
    editor.wait(lambda: "The server is enabled" in editor.text, "the report is shown")
    assert "The options in vim.g.infill are valid" in editor.text
    assert "ERROR" not in editor.text


def test_checkhealth_shows_what_the_doctor_warns_of(editor: Neovim) -> None:
    editor.keys(":checkhealth infill<CR>")
    editor.wait(lambda: "The server is enabled" in editor.text, "the report is shown")
    found = json.loads(subprocess.run(_doctor(editor), capture_output=True, text=True, check=False).stdout)["findings"]
    warned = [finding for finding in found if finding["verdict"] != "ok"]
    assert warned, "an empty home has the built-in model only"
    for finding in found:
        assert finding["about"] in editor.text
    assert "WARNING" in editor.text


def _doctor(editor: Neovim) -> list[str]:
    return ["env", f"INFILL_HOME={editor.home / 'infill'}", "HF_HUB_OFFLINE=1", str(editor.lua("return vim.g.infill.cmd[1]")), "doctor", "--json"]


def test_the_help_page_is_found(editor: Neovim) -> None:
    editor.keys(":help infill<CR>")
    title = "Completions and code from a model on your own machine"
    assert editor.wait(lambda: title in editor.text, "the page is open")


def test_a_question_of_the_server_takes_no_key_from_who_is_typing(editor: Neovim) -> None:
    editor.type_and_see(f"Go{START}")
    question = "infill: This machine can run a very large model with quite a long title at about 14 tokens/s, 1.0 GB to download. Download it now?"
    ask = (
        "local client = vim.lsp.get_clients({ name = 'infill' })[1] "
        "return client.handlers['window/showMessageRequest'](nil, { type = 3, message = ..., actions = { { title = 'Download' } } }, {}) == vim.NIL"
    )
    assert editor.lua(ask, question) is True
    editor.keys("1 + first")
    editor.reads(f"{TYPED}1 + first")
    assert "This machine can run" not in editor.messages()
    editor.keys("<Esc>")
    editor.wait(lambda: "This machine can run" in editor.messages(), "it is told once the typing has ended")
    assert "(:Infill models)" in editor.messages()


def test_a_server_that_was_killed_is_restarted_and_the_status_says_so(editor: Neovim) -> None:
    editor.type_and_see(f"Go{START}")
    editor.lua(
        "_G.seen = {} vim.api.nvim_create_autocmd('User', { pattern = 'InfillStatus', callback = function(e) table.insert(_G.seen, e.data) end })"
    )
    (server,) = [one for one in psutil.Process(editor.process.pid).children(recursive=True) if "lsp" in one.cmdline()]
    server.kill()
    told = editor.wait(lambda: editor.lua("return _G.seen"), "the status changes")
    assert told[0]["kind"] == "error"
    assert "restarted" in told[0]["message"]
    editor.wait(
        lambda: editor.lua("local c = vim.lsp.get_clients({ name = 'infill', bufnr = 0 })[1] return c and not c:is_stopped()"), "it runs again"
    )
    editor.keys("<Esc>Go")
    assert editor.type_and_see("def divide(first, second):<CR>    return ")


def test_what_is_shown_is_counted(editor: Neovim) -> None:
    editor.type_and_see(f"Go{START}")
    editor.keys("<Tab>")
    ask = (
        "local answer = vim.lsp.get_clients({ name = 'infill' })[1]"
        ":request_sync('workspace/executeCommand', { command = 'infill.stats' }, 60000, 0) return vim.json.encode(answer.result)"
    )
    assert editor.wait(lambda: '"shown":0' not in str(editor.lua(ask)).replace(" ", ""), "the statistics count what was shown")


def test_wrong_options_are_told_once_and_their_defaults_used(nvim: Path, infill: list[str], tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(PATTERN)
    command = ", ".join(f"'{word}'" for word in [*infill, "lsp"])
    init = f"vim.g.infill = {{ cmd = {{ {command} }}, ghost = 'yes', colour = 1 }}"
    with neovim(nvim, tmp_path / "nvim", infill, file, init=init) as editor:
        told = editor.wait(lambda: "infill:" in editor.messages() and editor.messages(), "it is told")
        # two sentences: Neovim asks for Enter before it goes on
        editor.keys("<CR>")
        editor.ready()
        assert "vim.g.infill.ghost must be a boolean, not a string" in told
        assert "There is no option vim.g.infill.colour" in told
        assert editor.type_and_see(f"Go{START}")


def test_without_a_server_installed_typing_goes_on_and_one_sentence_names_the_next_step(nvim: Path, tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text("x = 1\n")
    with neovim(nvim, tmp_path / "nvim", ["no-such-infill", "lsp"], tmp_path / "one.py") as editor:
        editor.keys("Goy = 2<Esc>")
        editor.keys(f":edit {tmp_path / 'two.py'}<CR>:edit {tmp_path / 'one.py'}<CR>")
        assert editor.saved() == "x = 1\ny = 2\n"
        told = [line for line in editor.messages().splitlines() if "infill" in line and "written" not in line and ".py" not in line]
        assert told == ["infill: no-such-infill was not found. :checkhealth infill says how to install it."]
        editor.keys(":checkhealth infill<CR>")
        editor.wait(lambda: "was not found" in editor.text, "the report is shown")
        assert f"uv tool install {Path(__file__).parents[2]}" in editor.text


def test_two_windows_share_one_engine(editor: Neovim, nvim: Path, infill: list[str], tmp_path: Path) -> None:
    editor.type_and_see(f"Go{START}")
    other = tmp_path / "work" / "others.py"
    other.write_text(PATTERN)
    home = {"INFILL_HOME": str(editor.home / "infill"), "HF_HUB_OFFLINE": "1"}
    with neovim(nvim, tmp_path / "second", [*infill, "lsp"], other, extra=home) as second:
        second.ready()
        second.type_and_see(f"Go{START}")
        status = json.loads(_engine(infill, editor.home, "status"))
        assert len(status["clients"]) == 2


def test_the_help_is_what_the_schema_says(nvim: Path, tmp_path: Path) -> None:
    client = Path(__file__).parents[2] / "clients" / "nvim"
    made = tmp_path / "infill.txt"
    subprocess.run([str(nvim), "-l", str(client / "scripts" / "gen_help.lua"), str(made)], check=True, capture_output=True)
    assert made.read_text() == (client / "doc" / "infill.txt").read_text(), "run: nvim -l clients/nvim/scripts/gen_help.lua"
