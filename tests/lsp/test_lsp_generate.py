"""Generated code through the real server, the real engine and the bundled model: streamed, placed, applied, refused with a message."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import far_server
import parrot
import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from real_editor import PATIENCE, Editor, NewEditor, until

from infill import paths

URI = "file:///project/a.py"
TEXT = "import os\n\n\n# the size of a file in bytes\ndef file_size(path):\n\n\ndef main():\n    print(file_size('x'))\n"
RESOLVE = types.TextDocumentClientCapabilities(
    code_action=types.CodeActionClientCapabilities(resolve_support=types.ClientCodeActionResolveOptions(properties=["edit"]))
)


def _watch(editor: Editor) -> list[Any]:
    parts: list[Any] = []

    @editor.client.feature("infill/generation")
    def on_generation(params: Any) -> None:
        parts.append(params)

    return parts


def _take_edits(editor: Editor, *, applied: bool = True) -> list[types.WorkspaceEdit]:
    edits: list[types.WorkspaceEdit] = []

    @editor.client.feature(types.WORKSPACE_APPLY_EDIT)
    def on_edit(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
        edits.append(params.edit)
        return types.ApplyWorkspaceEditResult(applied=applied)

    return edits


def _asked(line: int, character: int, **more: Any) -> dict[str, Any]:
    return {"uri": URI, "position": {"line": line, "character": character}} | more


def _text_edit(edit: Any) -> Any:
    (change,) = edit["documentChanges"]
    (only,) = change["edits"]
    return only


async def test_a_signature_is_implemented_streamed_and_handed_back_as_one_edit(editor: Editor) -> None:
    parts = _watch(editor)
    editor.open(TEXT)
    result = await editor.command("infill.generate", _asked(4, 20))
    assert result["text"].startswith("\n    ")
    assert "does not follow instructions" in result["notes"][0]
    edit = _text_edit(result["edit"])
    assert edit["newText"] == result["text"]
    assert edit["range"]["start"] == {"line": 4, "character": 20}
    await until(lambda: parts and parts[-1].done)
    assert {part.id for part in parts} == {result["id"]}
    assert parts[-1].text == result["text"]
    assert parts[-1].tokens > 0


async def test_a_named_model_writes_instead_of_the_one_that_completes(new_editor: NewEditor, home: Path) -> None:
    parrot.write(home / "parrot.gguf", "wychk")
    paths.config_directory().mkdir(parents=True, exist_ok=True)
    (paths.config_directory() / "models.toml").write_text(f'[[model]]\nid = "parrot"\ntitle = "Parrot"\npath = "{home / "parrot.gguf"}"\n')
    editor = await new_editor(options={"generate": {"maxTokens": 8}})
    editor.open(TEXT)
    result = await editor.command("infill.generate", _asked(0, 9, instruction="say it", model="local:parrot"))
    assert (result["model"], result["text"].strip()[:5]) == ("local:parrot", "wychk")
    assert "local:parrot is a base model" in result["notes"][0]
    result = await editor.command("infill.generate", _asked(4, 20))
    assert result["model"] == "local:bundled"


@pytest.mark.parametrize("order", [["local"], ["llamacpp:far", "local"]])
async def test_a_remote_model_writes_where_it_was_chosen_or_comes_first(new_editor: NewEditor, order: list[str]) -> None:
    async with far_server.listening() as url:
        remote = {"order": order, "remote": {"far": {"kind": "llamacpp", "url": url}}}
        editor = await new_editor(options={"providers": remote})
        editor.open(TEXT)
        if order == ["local"]:
            await editor.command("infill.switchModel", {"model": "llamacpp:far/big", "role": "generate"})
        result = await editor.command("infill.generate", _asked(4, 20))
        assert (result["text"], result["notes"]) == (f"\n    {far_server.WRITTEN}", [])
        assert await editor.engine() is None


async def test_apply_edit_asks_the_editor_for_one_change_of_the_right_version(editor: Editor) -> None:
    edits = _take_edits(editor)
    editor.open(TEXT)
    await editor.command("infill.generate", _asked(4, 20, apply="edit"))
    (edit,) = edits
    assert edit.document_changes is not None
    (change,) = edit.document_changes
    assert isinstance(change, types.TextDocumentEdit)
    assert change.text_document.version == 1


async def test_an_editor_that_does_not_take_the_edit_is_told_of(editor: Editor) -> None:
    _take_edits(editor, applied=False)
    editor.open(TEXT)
    with pytest.raises(JsonRpcException, match="did not take the edit"):
        await editor.command("infill.generate", _asked(4, 20, apply="edit"))


async def _begun(editor: Editor) -> tuple[asyncio.Future[Any], int]:
    """A running generation, and the pid of the engine, which is suspended until it gets SIGCONT."""
    await editor.command("infill.generate", _asked(4, 20))
    pid = (await editor.engine())["pid"]
    os.kill(pid, signal.SIGSTOP)
    asked = asyncio.ensure_future(editor.command("infill.generate", _asked(4, 20)))
    await until(lambda: editor.kinds[-1] == "generating")
    return asked, pid


async def test_an_edit_elsewhere_while_the_code_is_written_moves_the_place(editor: Editor) -> None:
    editor.open(TEXT)
    asked, pid = await _begun(editor)
    editor.type("# one line more\n", 0, 0)
    os.kill(pid, signal.SIGCONT)
    edit = _text_edit((await asked)["edit"])
    assert edit["range"]["start"] == {"line": 5, "character": 20}


async def test_an_edit_of_the_place_itself_is_refused_in_words(editor: Editor) -> None:
    editor.open(TEXT)
    asked, pid = await _begun(editor)
    editor.type("  # mine", 4, 20)
    os.kill(pid, signal.SIGCONT)
    with pytest.raises(JsonRpcException, match="place was edited"):
        await asked


async def test_a_document_closed_meanwhile_is_told_of(editor: Editor) -> None:
    editor.open(TEXT)
    asked, pid = await _begun(editor)
    editor.client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(URI)))
    os.kill(pid, signal.SIGCONT)
    with pytest.raises(JsonRpcException, match="was closed"):
        await asked


async def test_a_cancelled_generation_stops_and_the_next_one_works(editor: Editor) -> None:
    parts = _watch(editor)
    editor.open(TEXT)
    params = types.ExecuteCommandParams(command="infill.generate", arguments=[_asked(0, 0, instruction="a table")])
    future = asyncio.ensure_future(editor.client.protocol.send_request_async("workspace/executeCommand", params, msg_id="away"))
    await until(lambda: parts)
    editor.client.cancel_request(types.CancelParams(id="away"))
    with pytest.raises(JsonRpcException, match="Cancelled"):
        await asyncio.wait_for(future, PATIENCE)
    engine = await until_idle(editor)
    assert engine["waiting"] == 0
    assert (await editor.command("infill.generate", _asked(4, 20)))["text"]


async def test_the_progress_bar_stops_a_generation(new_editor: NewEditor) -> None:
    editor = await new_editor(window=types.WindowClientCapabilities(work_done_progress=True))
    parts = _watch(editor)
    editor.open(TEXT)
    asked = asyncio.ensure_future(editor.command("infill.generate", _asked(0, 0, instruction="every function of a calculator")))
    await until(lambda: parts and _writing(editor))
    (token,) = _writing(editor)
    editor.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token=token))
    with pytest.raises(JsonRpcException, match="Cancelled"):
        await asked
    assert not parts[-1].done
    await until_idle(editor)


def _writing(editor: Editor) -> list[Any]:
    """The progress bars of generations. On a busy machine there is also one for the loading of the model."""
    bars = editor.client.progress_reports.items()
    return [token for token, reports in bars if any(getattr(report, "title", "") == "infill: writing code" for report in reports)]


async def until_idle(editor: Editor) -> Any:
    while True:
        engine = await editor.engine()
        if engine["state"] != "generating":
            return engine


async def test_while_a_long_generation_runs_completions_elsewhere_still_answer(editor: Editor) -> None:
    parts = _watch(editor)
    editor.open(TEXT)
    editor.open("def add(a, b):\n    return ", uri="file:///project/b.py")
    await editor.ghosts(1, 11, uri="file:///project/b.py")
    asked = asyncio.ensure_future(editor.command("infill.generate", _asked(0, 0, instruction="write every function of a calculator")))
    await until(lambda: parts)
    editor.type("a", 1, 11, uri="file:///project/b.py")
    await editor.ghosts(1, 12, uri="file:///project/b.py")
    assert await asked


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        pytest.param({}, "needs a document", id="no document"),
        pytest.param({"uri": URI}, "needs a place", id="no place"),
        pytest.param(_asked(0, 3), "Nothing here says what to write", id="nothing to infer it from"),
        pytest.param(_asked(0, 0, instruction="x" * 1_000_000), "20,000 are the most", id="an instruction of a megabyte"),
        pytest.param({"uri": "file:///nowhere/else.py", "position": {"line": 0, "character": 0}}, "else.py", id="a file that is not there"),
        pytest.param({"uri": "untitled:gone", "position": {"line": 0, "character": 0}}, "no open document", id="a document nobody opened"),
        pytest.param(_asked(0, 0, apply="maybe"), "apply", id="a wrong argument"),
        pytest.param(
            {"uri": URI, "range": {"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 0}}}, "rewritten", id="no instruction"
        ),
    ],
)
async def test_what_cannot_be_done_is_a_sentence_and_the_server_lives(editor: Editor, argument: dict[str, Any], sentence: str) -> None:
    editor.open(TEXT)
    with pytest.raises(JsonRpcException, match=sentence):
        await editor.command("infill.generate", argument)
    assert (await editor.command("infill.status"))["kind"] in {"ready", "error", "warning"}


async def test_a_position_in_the_middle_of_a_character_is_moved_to_its_start(editor: Editor) -> None:
    editor.open("# 😀 smile\n")
    result = await editor.command("infill.generate", _asked(0, 3, instruction="say it"))
    assert _text_edit(result["edit"])["range"]["start"]["line"] == 0


async def test_a_read_only_file_is_not_written_to(new_editor: NewEditor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = await new_editor()
    uri = "git:/project/a.py"
    editor.open(TEXT, uri=uri)
    with pytest.raises(JsonRpcException, match="read-only"):
        await editor.command("infill.generate", {"uri": uri, "position": {"line": 4, "character": 20}})


async def _actions(editor: Editor, line: int, character: int, until_line: int | None = None, until: int = 0) -> list[types.CodeAction]:
    start = types.Position(line, character)
    end = types.Position(line if until_line is None else until_line, until) if until_line is not None or until else start
    params = types.CodeActionParams(types.TextDocumentIdentifier(URI), types.Range(start, end), types.CodeActionContext([]))
    found = await asyncio.wait_for(editor.client.text_document_code_action_async(params), PATIENCE)
    return [action for action in found or () if isinstance(action, types.CodeAction)]


async def test_code_actions_are_offered_where_they_make_sense(new_editor: NewEditor) -> None:
    editor = await new_editor(text_document=RESOLVE)
    editor.open(TEXT)
    assert [action.title for action in await _actions(editor, 3, 5)] == ["Generate from this comment"]
    assert [action.title for action in await _actions(editor, 4, 5)] == ["Implement this function", "Write a docstring"]
    assert await _actions(editor, 0, 3) == []


async def test_a_blank_line_inside_something_that_has_begun_can_be_completed(new_editor: NewEditor) -> None:
    editor = await new_editor(text_document=RESOLVE)
    editor.open("def total(items):\n    result = 0\n    \n    return result\n")
    (action,) = await _actions(editor, 2, 4)
    assert (action.title, action.kind) == ("Complete this block", "refactor.rewrite.infill")
    resolved = await asyncio.wait_for(editor.client.code_action_resolve_async(action), PATIENCE)
    assert resolved.edit is not None


async def test_what_the_model_cannot_do_is_offered_disabled_with_the_reason(new_editor: NewEditor) -> None:
    editor = await new_editor(text_document=RESOLVE)
    editor.open(TEXT)
    docstring = (await _actions(editor, 4, 5))[1]
    assert docstring.disabled is not None
    assert "does not follow instructions" in docstring.disabled.reason
    (rewrite,) = await _actions(editor, 3, 0, until_line=5)
    assert rewrite.title == "Rewrite selection..."
    assert rewrite.disabled is not None


async def test_with_the_built_in_model_an_editor_that_downloads_offers_only_that(new_editor: NewEditor) -> None:
    experimental = {"commands": {"commands": ["infill.chooseModel", "infill.chooseDownload"]}}
    editor = await new_editor(text_document=RESOLVE, experimental=experimental)
    editor.open(TEXT)
    at = types.Range(types.Position(3, 0), types.Position(5, 0))
    params = types.CodeActionParams(types.TextDocumentIdentifier(URI), at, types.CodeActionContext([]))
    found = await asyncio.wait_for(editor.client.text_document_code_action_async(params), PATIENCE)
    assert [action.title for action in found or ()] == ["Download a model to generate code..."]


async def test_a_base_model_changes_nothing_by_an_instruction_and_says_so(new_editor: NewEditor) -> None:
    editor = await new_editor()
    editor.open(TEXT)
    with pytest.raises(JsonRpcException, match="is a base model"):
        await editor.command("infill.generate", _asked(4, 20, refine={"text": "pass", "instruction": "shorter"}))


async def test_an_editor_with_a_model_picker_offers_it_where_the_model_cannot_write(new_editor: NewEditor) -> None:
    """VS Code does not list disabled actions, so the user would see no action at all."""
    experimental = {"commands": {"commands": ["infill.chooseModel", "infill.rewriteSelection"]}}
    editor = await new_editor(text_document=RESOLVE, experimental=experimental)
    editor.open(TEXT)
    at = types.Range(types.Position(3, 0), types.Position(5, 0))
    params = types.CodeActionParams(types.TextDocumentIdentifier(URI), at, types.CodeActionContext([]))
    found = await asyncio.wait_for(editor.client.text_document_code_action_async(params), PATIENCE)
    assert [action.title for action in found or ()] == ["Choose a model that writes code..."]
    assert not await _actions(editor, 3, 0, until_line=5), "lsprotocol reads an action with a command as a Command"


async def test_a_span_within_a_line_may_be_a_selection_or_where_the_cursor_is(new_editor: NewEditor) -> None:
    """If nothing is selected, Eglot sends the statement at the cursor as the range."""
    editor = await new_editor(text_document=RESOLVE)
    editor.open(TEXT)
    assert [action.title for action in await _actions(editor, 4, 0, until=5)] == [
        "Rewrite selection...",
        "Implement this function",
        "Write a docstring",
    ]


async def test_an_editor_that_resolves_gets_the_edit_only_when_the_action_is_chosen(new_editor: NewEditor) -> None:
    editor = await new_editor(text_document=RESOLVE)
    editor.open(TEXT)
    action = (await _actions(editor, 4, 5))[0]
    assert action.edit is None
    assert action.command is None
    resolved = await asyncio.wait_for(editor.client.code_action_resolve_async(action), PATIENCE)
    assert resolved.edit is not None
    assert resolved.edit.document_changes


async def test_an_editor_that_does_not_resolve_gets_a_command(editor: Editor) -> None:
    editor.open(TEXT)
    at = types.Position(3, 5)
    params = types.CodeActionParams(types.TextDocumentIdentifier(URI), types.Range(at, at), types.CodeActionContext([]))
    found = await asyncio.wait_for(editor.client.text_document_code_action_async(params), PATIENCE)
    # the client library reads an action with a command as a Command
    assert [type(action) for action in found or ()] == [types.Command]
    assert [action.title for action in found or ()] == ["Generate from this comment"]
