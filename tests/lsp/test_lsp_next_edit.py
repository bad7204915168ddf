"""Next edits through the real server over stdio."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from lsprotocol import types
from real_editor import PATIENCE, Editor, NewEditor

URI = "file:///project/a.py"
TEXT = "def total(items, rate):\n    s = 0\n    print(rate)\n    return s\n"


async def _asked(editor: Editor, method: str, uri: str = URI) -> list[Any]:
    params = {"textDocument": {"uri": uri, "version": editor.versions[uri]}, "position": {"line": 1, "character": 0}}
    answer = await asyncio.wait_for(editor.client.protocol.send_request_async(method, params), PATIENCE)
    return list(answer.edits)


def _replace(editor: Editor, text: str, line: int, start: int, end: int, uri: str = URI) -> None:
    editor.versions[uri] += 1
    span = types.Range(types.Position(line, start), types.Position(line, end))
    document = types.VersionedTextDocumentIdentifier(version=editor.versions[uri], uri=uri)
    change = types.TextDocumentContentChangePartial(range=span, text=text)
    editor.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))


async def test_a_rename_is_followed_through_the_file_and_starts_no_engine(editor: Editor) -> None:
    editor.open(TEXT)
    _replace(editor, "tax", 0, 17, 21)
    (edit,) = await _asked(editor, "textDocument/copilotInlineEdit")
    assert (edit.text, edit.range.start.line, edit.textDocument.version) == ("tax", 2, 2)
    _replace(editor, edit.text, 2, 10, 14)
    await editor.command(edit.command.command, *edit.command.arguments)
    assert await _asked(editor, "infill/nextEdit") == []
    assert await editor.engine() is None


async def test_an_edit_of_one_file_suggests_nothing_in_another(editor: Editor) -> None:
    other = "file:///project/b.py"
    editor.open(TEXT)
    editor.open(TEXT, other)
    _replace(editor, "tax", 0, 17, 21)
    assert await _asked(editor, "infill/nextEdit", other) == []


async def test_next_edits_can_be_switched_off(new_editor: NewEditor, home: Path) -> None:
    editor = await new_editor(options={"nextEdit": {"mode": "off"}})
    editor.open(TEXT)
    _replace(editor, "tax", 0, 17, 21)
    assert await _asked(editor, "infill/nextEdit") == []
