"""From a key to ghost text: the real server, the real engine, the bundled model."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from real_editor import ADD, PATIENCE, Editor, NewEditor, until

URI = "file:///project/a.py"
LOOP = "def total(values):\n    result = 0\n    for value in values:\n        "
SHAPE = "class Shape:\n    def __init__(self, width, height):\n        self.width = width\n        self.height = height\n        return "


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The engine is suspended inside the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_the_first_completion_starts_the_engine_and_shows_ghost_text(editor: Editor) -> None:
    editor.open(ADD)
    (item,) = await editor.ghosts(4, 11)
    assert item.insert_text
    assert item.range == types.Range(types.Position(4, 11), types.Position(4, 11))
    assert "loading" in editor.kinds
    await until(lambda: editor.kinds[-1] == "ready")
    explained = await asyncio.wait_for(editor.explained(), PATIENCE)
    assert (explained["source"], explained["provider"], explained["model"]) == ("model", "local", "local:bundled")
    assert explained["answer"]["tokensEvaluated"] > 0


async def test_nothing_is_loaded_before_a_completion_is_asked_for(editor: Editor) -> None:
    editor.open(ADD)
    assert await editor.engine() is None
    assert set(editor.kinds) == {"ready"}


async def test_a_place_where_the_cursor_has_rested_is_evaluated_before_the_first_key(editor: Editor) -> None:
    editor.open(ADD)
    await editor.ghosts(4, 11)
    uri = "file:///project/long.py"
    editor.open(f"{LOOP}\n" * 100, uri)

    async def evaluated(at_least: int) -> int:
        """Number of the long file's tokens in the engine, once it is above `at_least` and no background work is running."""
        while True:
            slots = (await editor.engine())["models"][0]["slots"]
            tokens = next((int(slot["tokens"]) for slot in slots if slot["slot"].endswith(uri)), 0)
            if tokens > at_least and not (await editor.engine())["background"]:
                return tokens
            await asyncio.sleep(0.02)

    at_the_start = await asyncio.wait_for(evaluated(0), PATIENCE)
    editor.client.protocol.notify("infill/cursor", {"textDocument": {"uri": uri}, "position": {"line": 203, "character": 8}})
    in_the_middle = await asyncio.wait_for(evaluated(at_the_start), PATIENCE)
    editor.type("r", 203, 8, uri)
    await editor.ghosts(203, 9, uri)
    answer = (await asyncio.wait_for(editor.explained(), PATIENCE))["answer"]
    assert answer["tokensEvaluated"] <= 8
    assert answer["tokensKept"] >= in_the_middle - 8


async def test_a_preloaded_model_is_there_before_anybody_asks(new_editor: NewEditor) -> None:
    editor = await new_editor(options={"engine": {"preload": True}})
    await until(lambda: "loading" in editor.kinds and editor.kinds[-1] == "ready")
    assert (await editor.engine())["models"][0]["model"] == "local:bundled"


async def test_typing_what_was_suggested_is_answered_without_asking_the_model(editor: Editor) -> None:
    editor.open(ADD)
    (item, *_) = await editor.ghosts(4, 11, invoked=True)
    text = item.insert_text
    assert isinstance(text, str) and len(text) > 1
    for typed in range(1, min(len(text), 6)):
        editor.type(text[typed - 1], 4, 10 + typed)
        (rest, *_) = await editor.ghosts(4, 11 + typed)
        assert isinstance(rest.insert_text, str)
        assert text[typed:].startswith(rest.insert_text) or rest.insert_text.startswith(text[typed:])
        assert (await editor.command("infill.explain"))["source"] in {"cache", "running"}


async def test_an_explicit_request_brings_different_candidates(editor: Editor) -> None:
    found = []
    for number, text in enumerate((ADD, LOOP, SHAPE)):
        uri = f"file:///project/{number}.py"
        editor.open(text, uri)
        line = text.count("\n")
        items = await editor.ghosts(line, len(text) - text.rfind("\n") - 1, uri, invoked=True)
        texts = [str(item.insert_text) for item in items]
        assert len(set(texts)) == len(texts) <= 3
        found.append(len(texts))
    assert max(found) > 1


async def test_a_cancelled_request_ends_in_the_engine_too(new_editor: NewEditor) -> None:
    editor = await new_editor(options={"engine": {"prefetch": False, "warm": False}})
    editor.open(ADD)
    assert await editor.ghosts(4, 11)
    pid = (await editor.engine())["pid"]
    editor.open(SHAPE, "file:///project/b.py")
    number = "to-be-cancelled"
    with stopped(pid):  # otherwise the answer could come before the cancellation
        params = editor.question(4, 15, "file:///project/b.py", invoked=True)
        future = asyncio.ensure_future(editor.client.protocol.send_request_async("textDocument/inlineCompletion", params, msg_id=number))
        await until(lambda: editor.kinds[-1] == "generating")
        editor.client.cancel_request(types.CancelParams(id=number))
        with pytest.raises(JsonRpcException, match="Cancelled"):
            await asyncio.wait_for(future, PATIENCE)
        await until(lambda: editor.kinds[-1] == "ready")
    for _ in range(100):
        if (engine := await editor.engine())["state"] == "ready":
            break
    assert (engine["pid"], engine["state"], engine["waiting"]) == (pid, "ready", 0)
    assert not (await editor.command("infill.explain"))["suggestions"]
    assert await editor.ghosts(4, 15, "file:///project/b.py", invoked=True)


async def test_many_requests_without_a_cancel_end_with_the_newest(editor: Editor) -> None:
    """Neovim's behaviour: every key sends a request, and none is cancelled."""
    editor.open("def area(width, height):\n    ")
    asked = []
    for column, character in enumerate("return wi"):
        editor.type(character, 1, 4 + column)
        asked.append(asyncio.ensure_future(editor.ghosts(1, 5 + column)))
    answers = await asyncio.gather(*asked)
    assert not any(answers[:-2])
    assert len(answers[-1]) <= 1


async def test_an_editor_without_ghost_text_gets_the_popup(new_editor: NewEditor) -> None:
    editor = await new_editor(start=False)
    result = await editor.start(text_document=types.TextDocumentClientCapabilities(completion=types.CompletionClientCapabilities()))
    assert result.capabilities.completion_provider is not None
    editor.open(ADD)
    params = types.CompletionParams(text_document=types.TextDocumentIdentifier(URI), position=types.Position(4, 11))
    found = await asyncio.wait_for(editor.client.text_document_completion_async(params), PATIENCE)
    assert isinstance(found, types.CompletionList)
    (item,) = found.items
    assert isinstance(item.text_edit, types.TextEdit)
    assert item.text_edit.new_text.startswith(item.label)
    assert item.text_edit.range.start == types.Position(4, 11)


@pytest.mark.parametrize(
    ("encoding", "column"),
    [(types.PositionEncodingKind.Utf8, 41), (types.PositionEncodingKind.Utf16, 29), (types.PositionEncodingKind.Utf32, 26)],
)
async def test_every_encoding_puts_the_suggestion_at_the_cursor(new_editor: NewEditor, encoding: types.PositionEncodingKind, column: int) -> None:
    editor = await new_editor(start=False)
    result = await editor.start(general=types.GeneralClientCapabilities(position_encodings=[encoding]))
    assert result.capabilities.position_encoding == encoding
    line = '    "é\u0301👩🏽\u200d💻漢"; return add('
    codec, width = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}[encoding.value]
    assert len(line.encode(codec)) // width == column
    editor.open(f"def add(a, b):\r\n    return a + b\r\n\r\n\r\ndef twice(a, b):\r\n{line}\r\n")
    items = await editor.ghosts(5, column, invoked=True)
    assert items
    assert all(item.range is not None and item.range.start == types.Position(5, column) for item in items)


async def test_a_cell_is_completed_with_the_cells_above(editor: Editor) -> None:
    uris = [f"vscode-notebook-cell:/project/n.ipynb#{number}" for number in range(2)]
    texts = ["def add(a, b):\n    return a + b\n", "add("]
    cells = [types.NotebookCell(kind=types.NotebookCellKind.Code, document=uri) for uri in uris]
    book = types.NotebookDocument(uri="file:///project/n.ipynb", notebook_type="jupyter-notebook", version=1, cells=cells)
    items = [types.TextDocumentItem(uri=uri, language_id="python", version=1, text=text) for uri, text in zip(uris, texts, strict=True)]
    editor.client.notebook_document_did_open(types.DidOpenNotebookDocumentParams(notebook_document=book, cell_text_documents=items))
    await editor.ghosts(0, 4, uris[1], invoked=True)
    explained = await editor.command("infill.explain")
    assert explained["prompt"]["prefixCharacters"] == len(texts[0]) + len("add(")


async def test_an_engine_killed_between_requests_is_started_again(editor: Editor) -> None:
    editor.open(ADD)
    assert await editor.ghosts(4, 11)
    before = (await editor.engine())["pid"]
    os.kill(before, signal.SIGKILL)
    await until(lambda: not psutil.pid_exists(before) or psutil.Process(before).status() == psutil.STATUS_ZOMBIE)
    editor.type("a", 4, 11)
    await until(lambda: "error" in editor.kinds)
    editor.open("def sub(a, b):\n    return ", "file:///project/b.py")
    assert await editor.ghosts(1, 11, "file:///project/b.py", invoked=True)
    assert (await editor.engine())["pid"] != before
    assert editor.kinds[-1] == "ready"


async def test_an_engine_killed_during_a_request_loses_neither_server_nor_answer(new_editor: NewEditor) -> None:
    editor = await new_editor(options={"completion": {"maxTokens": 1024}, "engine": {"prefetch": False}})
    editor.open(ADD)
    assert await editor.ghosts(4, 11)
    pid = (await editor.engine())["pid"]
    os.kill(pid, signal.SIGSTOP)
    editor.open("NAMES = [\n    ", "file:///project/b.py")
    asked = asyncio.ensure_future(editor.ghosts(1, 4, "file:///project/b.py", invoked=True))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await until(lambda: editor.kinds[-1] == "generating" and loop.time() - begun > 0.5)
    os.kill(pid, signal.SIGKILL)
    killed = loop.time()
    assert await asyncio.wait_for(asked, PATIENCE) == []
    assert loop.time() - killed < 1
    assert await editor.ghosts(1, 4, "file:///project/b.py", invoked=True)
    assert (await editor.engine())["pid"] != pid
    assert len(editor.client.messages) == 1


async def test_two_editors_share_one_engine(new_editor: NewEditor) -> None:
    editors = [await new_editor(), await new_editor()]
    for editor in editors:
        editor.open(ADD)
    answers = await asyncio.gather(*(editor.ghosts(4, 11, invoked=True) for editor in editors))
    assert all(answers)
    engines = [await editor.engine() for editor in editors]
    assert engines[0]["pid"] == engines[1]["pid"]
    assert len(engines[0]["clients"]) == 2


async def test_an_idle_model_is_unloaded_and_comes_back(new_editor: NewEditor) -> None:
    editor = await new_editor(options={"engine": {"idleMinutes": 0.005}})
    editor.open(ADD)
    assert await editor.ghosts(4, 11)
    pid = (await editor.engine())["pid"]
    await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    editor.open("def sub(a, b):\n    return ", "file:///project/b.py")
    assert await editor.ghosts(1, 11, "file:///project/b.py", invoked=True)
    assert not editor.client.messages


async def test_a_model_is_loaded_and_unloaded_by_command(editor: Editor) -> None:
    await editor.command("infill.loadModel")
    assert [model["model"] for model in (await editor.engine())["models"]] == ["local:bundled"]
    await editor.command("infill.unloadModel")
    assert not (await editor.engine())["models"]


async def test_a_model_that_is_not_there_is_told_once_and_nothing_breaks(new_editor: NewEditor) -> None:
    editor = await new_editor(options={"models": {"complete": "local:nowhere"}})
    editor.open(ADD)
    for _ in range(3):
        assert await editor.ghosts(4, 11, invoked=True) == []
    assert editor.kinds[-1] == "error"
    assert len(editor.client.messages) == 1
    assert "nowhere" in editor.client.messages[0].message


async def test_the_server_stays_small_and_loads_neither_llama_cpp_nor_numpy(editor: Editor) -> None:
    editor.open(ADD)
    assert await editor.ghosts(4, 11)
    mapped = {Path(one.path).name for one in editor.server.memory_maps()}
    assert not [name for name in mapped if "llama" in name or "ggml" in name or "multiarray" in name]
    assert editor.server.memory_info().rss < 80_000_000


async def test_settings_change_while_it_runs(new_editor: NewEditor) -> None:
    editor = await new_editor(workspace=types.WorkspaceClientCapabilities(configuration=True))
    editor.open(ADD)
    assert await editor.ghosts(4, 11)
    editor.client.set_configuration({"enabled": False}, section="infill")
    editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))
    await until(lambda: editor.kinds[-1] == "off")
    assert await editor.ghosts(4, 11) == []
    editor.client.set_configuration({"enabled": True, "completion": {"maxTokens": "x"}}, section="infill")
    editor.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(settings=None))
    await until(lambda: editor.kinds[-1] == "ready")
    assert await editor.ghosts(4, 11)
    assert len(editor.client.messages) == 1 and "maxTokens" in editor.client.messages[0].message
