"""What is asked for a cursor, and where the answer belongs: exact in every encoding, bounded in every document."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from scripted_editor import GHOST, Editor, NewEditor

from infill.ask import Prompt

URI = "file:///project/a.py"
DIFFICULT = 'x = "é\u0301👩🏽\u200d💻漢"; y = foo('
"""Precomposed, combining, outside the basic plane, joined by a zero-width joiner."""


def units(text: str, encoding: str) -> int:
    codec, width = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}[encoding]
    return len(text.encode(codec)) // width


def asked(editor: Editor) -> Prompt:
    """What the model was asked last, beside what it was asked ahead."""
    return [one for one in editor.fake.asked if isinstance(one, Prompt) and one.priority != "background"][-1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_the_cursor_stands_where_the_editor_says_after_emoji_and_combining_marks(new_editor: NewEditor, encoding: str) -> None:
    editor = new_editor(["bar)"])
    result = await editor.start(GHOST | {"general": {"positionEncodings": [encoding]}})
    assert result["capabilities"]["positionEncoding"] == encoding
    editor.open(f"# 😋\r\n{DIFFICULT})\r\n")
    column = units(DIFFICULT, encoding)
    (item,) = await editor.ghosts(1, column)
    assert asked(editor).prefix == f"# 😋\n{DIFFICULT}"
    assert asked(editor).suffix == ")\n"
    assert item["insertText"] == "bar)"
    assert item["range"] == {"start": {"line": 1, "character": column}, "end": {"line": 1, "character": column + 1}}


async def test_encodings_nobody_knows_fall_back_to_utf_16(new_editor: NewEditor) -> None:
    result = await new_editor().start(GHOST | {"general": {"positionEncodings": ["utf-7"]}})
    assert result["capabilities"]["positionEncoding"] == "utf-16"


async def test_typing_an_emoji_in_two_halves_is_one_emoji(editor: Editor) -> None:
    editor.open("x = ''")
    editor.change("\ud83d", 0, 5)
    editor.change("\ude0b", 0, 6, version=3)
    await editor.ghosts(0, 8)
    assert asked(editor).prefix == "x = '😋'"


async def test_half_an_emoji_and_nul_bytes_are_survived(editor: Editor) -> None:
    editor.open("x = '\ud83d' + \x00\x01\nvalue = ")
    assert await editor.ghosts(1, 8, kind=1)
    assert asked(editor).prefix == "x = '\ufffd' + \x00\x01\nvalue = "


@pytest.mark.parametrize("position", [(99, 0), (0, 99), (99, 99), (2**31 - 1, 2**31 - 1)])
async def test_a_position_outside_the_document_is_clamped(editor: Editor, position: tuple[int, int]) -> None:
    editor.open("x = ")
    (item,) = await editor.ghosts(*position)
    assert item["range"]["start"] == {"line": 0, "character": 4}


async def test_a_document_that_nobody_opened_is_read_from_disk(editor: Editor, tmp_path: Path) -> None:
    file = tmp_path / "disk.py"
    file.write_bytes(b"caf\xe9 = 1\nvalue = ")
    assert await editor.ghosts(1, 8, file.as_uri())
    assert asked(editor).prefix == "caf\ufffd = 1\nvalue = "


@pytest.mark.parametrize("uri", ["file:///nowhere/at/all.py", "untitled:Untitled-1", "", "\x00", "file:///a\x00b", "http://example.invalid/a.py"])
async def test_a_document_that_is_nowhere_is_an_error_with_a_sentence(editor: Editor, uri: str) -> None:
    position = {"line": 0, "character": 0}
    error = await editor.error("textDocument/inlineCompletion", textDocument={"uri": uri}, position=position, context={"triggerKind": 1})
    assert error["code"] == -32602
    assert error["message"].endswith(".")


async def test_a_suggestion_beside_the_popup_extends_what_is_selected(new_editor: NewEditor) -> None:
    editor = new_editor(["(path)"])
    await editor.start()
    editor.open("value = re")
    popup = {"range": {"start": {"line": 0, "character": 8}, "end": {"line": 0, "character": 10}}, "text": "read"}
    (item,) = await editor.ghosts(0, 10, popup=popup)
    assert item["insertText"] == "read(path)"
    assert item["range"] == popup["range"]
    assert asked(editor).prefix == "value = read"


async def test_a_popup_that_replaces_what_is_typed_is_extended_all_the_same(new_editor: NewEditor) -> None:
    editor = new_editor(["(path)"])
    await editor.start()
    editor.open("value = FRtail")
    popup = {"range": {"start": {"line": 0, "character": 8}, "end": {"line": 0, "character": 14}}, "text": "fread"}
    (item,) = await editor.ghosts(0, 10, kind=1, popup=popup)
    assert item["insertText"] == "fread(path)"
    assert item["range"] == popup["range"]
    assert (asked(editor).prefix, asked(editor).suffix) == ("value = fread", "")


async def test_each_suggestion_carries_the_command_that_tells_of_its_acceptance(editor: Editor) -> None:
    editor.open("x = ")
    first, second = (await editor.ghosts(0, 4))[0], (await editor.ghosts(0, 4))[0]
    assert first["command"]["command"] == "infill.didAccept"
    assert first["command"]["arguments"] != second["command"]["arguments"]


async def test_a_document_that_changes_meanwhile_gets_no_answer_for_what_it_was(new_editor: NewEditor) -> None:
    go = asyncio.Event()
    editor = new_editor(["done", go, "()"])
    await editor.start()
    editor.open("x = ")
    position, context = {"line": 0, "character": 4}, {"triggerKind": 1}
    _, reply = editor.begin("textDocument/inlineCompletion", textDocument={"uri": URI}, position=position, context=context)
    await editor.until(lambda: editor.fake.asked)
    editor.change("d", 0, 4)
    go.set()
    assert (await reply)["result"] == {"items": []}


async def test_a_newer_request_ends_the_older_one_of_an_editor_that_does_not_cancel(new_editor: NewEditor) -> None:
    editor = new_editor(lambda prompt: ["z", asyncio.Event()] if prompt.prefix == "x = " else ["es"])
    await editor.start()
    editor.open("x = ")
    position, context = {"line": 0, "character": 4}, {"triggerKind": 1}
    _, older = editor.begin("textDocument/inlineCompletion", textDocument={"uri": URI}, position=position, context=context)
    await editor.until(lambda: editor.fake.asked)
    editor.change("y", 0, 4)
    assert await editor.ghosts(0, 5, kind=1)
    assert (await older)["result"] == {"items": []}
    assert editor.fake.stopped


async def test_a_cancelled_request_is_told_so_and_stops_the_provider(new_editor: NewEditor) -> None:
    editor = new_editor([asyncio.Event()])
    await editor.start()
    editor.open("x = ")
    position, context = {"line": 0, "character": 4}, {"triggerKind": 1}
    number, reply = editor.begin("textDocument/inlineCompletion", textDocument={"uri": URI}, position=position, context=context)
    await editor.until(lambda: editor.fake.asked)
    editor.notify("$/cancelRequest", id=number)
    assert (await reply)["error"]["code"] == -32800
    await editor.until(lambda: editor.fake.stopped)
    assert editor.server.status.line.busy is False


async def test_a_huge_file_costs_a_keystroke_no_more_than_its_line(editor: Editor) -> None:
    editor.open("value = 1\n" * 1_000_000 + "x = ")
    editor.change("y", 1_000_000, 4)
    assert await editor.ghosts(1_000_000, 5, kind=1)
    assert len(asked(editor).prefix) < 100_000
    changed = editor.server.documents.get(URI)
    assert changed is not None and changed.text.line(1_000_000) == "x = y"


async def test_a_line_of_a_hundred_thousand_characters_is_answered(editor: Editor) -> None:
    editor.open("é" * 100_000 + " = ")
    editor.change("y", 0, 100_003)
    assert (await editor.ghosts(0, 100_004, kind=1))[0]["range"]["start"] == {"line": 0, "character": 100_004}


async def test_what_was_edited_elsewhere_is_shown_with_the_request(editor: Editor, tmp_path: Path) -> None:
    for name, text in (("one.py", "def one(): ...\n"), ("two.py", "def two(): ...\n")):
        editor.open(text, (tmp_path / name).as_uri())
    await editor.command("infill.status")
    for document in editor.server.documents:
        await editor.server.rules.judge(document)
    editor.change("x", 0, 0, (tmp_path / "two.py").as_uri())
    editor.notify("textDocument/didClose", textDocument={"uri": (tmp_path / "two.py").as_uri()})
    await editor.command("infill.status")
    document = editor.server.documents.get((tmp_path / "one.py").as_uri())
    assert document is not None
    request = editor.server.snapshots.take(document, (0, 0), editor.server.rules.known(document))
    assert [(one.path, one.text) for one in request.neighbours] == [("two.py", "xdef two(): ...\n")]


async def test_secrets_are_never_shown_with_a_request(new_editor: NewEditor, tmp_path: Path) -> None:
    editor = new_editor()
    (tmp_path / ".gitignore").write_text("generated.py\n")
    await editor.start(root=tmp_path)
    for name in (".env", "generated.py", "id_rsa", "fine.py"):
        editor.open("TOKEN = 1\n", (tmp_path / name).as_uri())
    editor.open("x = ")
    await editor.command("infill.status")
    for document in editor.server.documents:
        await editor.server.rules.judge(document)
    document = editor.server.documents.get(URI)
    assert document is not None
    request = editor.server.snapshots.take(document, (0, 4), editor.server.rules.known(document))
    assert [one.path for one in request.neighbours] == ["fine.py"]


async def test_a_file_with_secrets_is_for_this_machine_alone(editor: Editor, tmp_path: Path) -> None:
    editor.open("TOKEN = ", (tmp_path / ".env").as_uri(), "dotenv")
    assert await editor.ghosts(0, 8, (tmp_path / ".env").as_uri(), kind=1)
    assert asked(editor).remote_allowed is False


async def notebook(editor: Editor, cells: list[tuple[str, str]]) -> list[str]:
    uris = [f"vscode-notebook-cell:/project/n.ipynb#{number}" for number in range(len(cells))]
    documents = [{"uri": uri, "languageId": language, "version": 1, "text": text} for uri, (language, text) in zip(uris, cells, strict=True)]
    listed = [{"kind": 2 if language == "python" else 1, "document": uri} for uri, (language, _) in zip(uris, cells, strict=True)]
    book: dict[str, Any] = {"uri": "file:///project/n.ipynb", "notebookType": "jupyter-notebook", "version": 1, "cells": listed}
    editor.notify("notebookDocument/didOpen", notebookDocument=book, cellTextDocuments=documents)
    return uris


async def test_a_cell_is_completed_with_the_cells_above_and_below_it(editor: Editor) -> None:
    uris = await notebook(editor, [("python", "import os"), ("markdown", "# Title"), ("python", "a = 1\n"), ("python", "b = "), ("python", "c = 3")])
    assert await editor.ghosts(0, 4, uris[3])
    assert asked(editor).prefix == "import os\na = 1\nb = "
    assert asked(editor).suffix == "\nc = 3"


async def test_a_notebook_s_cells_change_move_and_close(editor: Editor) -> None:
    uris = await notebook(editor, [("python", "a = 1"), ("python", "b = ")])
    new = {"uri": "vscode-notebook-cell:/project/n.ipynb#new", "languageId": "python", "version": 1, "text": "middle = 2"}
    span = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 5}}
    editor.notify(
        "notebookDocument/didChange",
        notebookDocument={"uri": "file:///project/n.ipynb", "version": 2},
        change={
            "cells": {
                "structure": {"array": {"start": 1, "deleteCount": 0, "cells": [{"kind": 2, "document": new["uri"]}]}, "didOpen": [new]},
                "textContent": [{"document": {"uri": uris[0], "version": 2}, "changes": [{"range": span, "text": "7"}]}],
            }
        },
    )
    assert await editor.ghosts(0, 4, uris[1])
    assert asked(editor).prefix == "a = 7\nmiddle = 2\nb = "
    editor.notify("notebookDocument/didClose", notebookDocument={"uri": "file:///project/n.ipynb"}, cellTextDocuments=[{"uri": uri} for uri in uris])
    await editor.command("infill.status")
    assert not list(editor.server.documents)
