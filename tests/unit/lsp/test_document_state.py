"""One document whatever its URI is spelled like, in the state that the editor told, with the indentation that the editor or `.editorconfig` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted_editor import Editor, NewEditor

from infill.ask import Prompt
from infill.completion.types import Indentation
from infill.lsp.documents import same

URI = "file:///project/a.py"


def asked(editor: Editor) -> Prompt:
    """What the model was asked last, beside what it was asked ahead."""
    return [one for one in editor.fake.asked if isinstance(one, Prompt) and one.priority != "background"][-1]


@pytest.mark.parametrize("version", [{"version": None}, {}, {"version": "3"}, {"version": 2**40}, {"version": True}])
async def test_a_change_without_a_usable_version_counts(editor: Editor, version: dict[str, Any]) -> None:
    editor.open("x = 1\n")
    span = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 5}}
    editor.notify("textDocument/didChange", textDocument={"uri": URI, **version}, contentChanges=[{"range": span, "text": "23 + "}])
    assert await editor.ghosts(0, 9)
    assert asked(editor).prefix == "x = 23 + "


async def test_a_document_opened_without_a_version_is_open(editor: Editor) -> None:
    editor.notify("textDocument/didOpen", textDocument={"uri": URI, "languageId": "python", "version": None, "text": "x = "})
    assert await editor.ghosts(0, 4)


async def test_an_answer_to_a_text_that_changed_under_the_same_version_is_not_shown(editor: Editor) -> None:
    editor.open("x = \n")
    await editor.command("infill.status")
    document = editor.server.documents.get(URI)
    assert document is not None
    before = document.revision
    editor.change("y", 0, 4, version=1)
    await editor.command("infill.status")
    assert document.revision != before


@pytest.mark.parametrize(
    "uris",
    [
        [
            "file:///c:/a.py",
            "file:///C:/a.py",
            "file:///c%3A/a.py",
            "file:///C%3a/a.py",
            "FILE:///C:/a.py",
            "file:/c:/a.py",
            "file://localhost/C:/a.py",
        ],
        ["file:///a%20b.py", "file:///a b.py"],
        ["vscode-notebook-cell:/c%3A/n.ipynb#1", "vscode-notebook-cell:/C:/n.ipynb#1"],
        ["untitled:Untitled-1"],
    ],
)
async def test_all_spellings_of_a_uri_are_one_document(editor: Editor, uris: list[str]) -> None:
    assert len({same(uri) for uri in uris}) == 1
    for uri in uris:
        editor.open("x = ", uris[0])
        editor.change("y", 0, 4, uri)
        await editor.command("infill.status")
        document = editor.server.documents.get(uri)
        assert document is not None and str(document.text) == "x = y"
    editor.notify("textDocument/didClose", textDocument={"uri": uris[-1]})
    await editor.command("infill.status")
    assert not list(editor.server.documents)


@pytest.mark.parametrize(
    ("one", "other"), [("file:///A.py", "file:///a.py"), ("file:///project/c:/a.py", "file:///project/C:/a.py"), ("untitled:A", "untitled:a")]
)
def test_other_differences_make_other_documents(one: str, other: str) -> None:
    assert same(one) != same(other)


async def test_cells_of_a_notebook_on_a_drive_are_found_whatever_the_drive_is_spelled_like(editor: Editor) -> None:
    cells = ["vscode-notebook-cell:/C:/n.ipynb#1", "vscode-notebook-cell:/C:/n.ipynb#2", "vscode-notebook-cell:/C:/n.ipynb#3"]
    listed = [{"kind": 2, "document": uri.replace("/C:/", "/c%3A/")} for uri in cells]
    documents = [
        {"uri": uri, "languageId": "python", "version": 1, "text": text} for uri, text in zip(cells, ("a = 1", "b = ", "c = 3"), strict=True)
    ]
    book = {"uri": "file:///C:/n.ipynb", "notebookType": "jupyter-notebook", "version": None, "cells": listed}
    editor.notify("notebookDocument/didOpen", notebookDocument=book, cellTextDocuments=documents)
    await editor.ghosts(0, 4, cells[1])
    assert (asked(editor).prefix, asked(editor).suffix) == ("a = 1\nb = ", "\nc = 3")


async def indentation(editor: Editor, uri: str) -> Indentation:
    document = editor.server.documents.get(uri)
    assert document is not None
    return editor.server.snapshots.take(document, (0, 0), await editor.server.rules.judge(document)).indentation


async def test_editorconfig_says_how_a_file_is_indented_and_the_editor_knows_better(new_editor: NewEditor, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".editorconfig").write_text("[*.c]\nindent_style = tab\ntab_width = 8\n")
    editor = new_editor()
    await editor.start(root=folder)
    uri = (folder / "a.c").as_uri()
    editor.open("int f() {\n", uri, "c")
    await editor.command("infill.status")
    assert await indentation(editor, uri) == Indentation(tabs=True, step=8, tab=8)
    place = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}}
    editor.notify("infill/cursor", **place, options={"tabSize": 2, "insertSpaces": True})
    await editor.command("infill.status")
    assert await indentation(editor, uri) == Indentation(tabs=False, step=2, tab=2)
    for strange in ({"tabSize": -1, "insertSpaces": "no"}, {"tabSize": 10**9}, {}):
        editor.notify("infill/cursor", **place, options=strange)
        await editor.command("infill.status")
        assert await indentation(editor, uri) == Indentation(tabs=True, step=8, tab=8)


async def test_editorconfig_outside_the_workspace_is_not_read(new_editor: NewEditor, tmp_path: Path) -> None:
    (tmp_path / ".editorconfig").write_text("[*]\nindent_style = tab\n")
    folder = tmp_path / "project"
    folder.mkdir()
    editor = new_editor()
    await editor.start(root=folder)
    for file in (folder / "a.c", tmp_path / "b.c"):
        editor.open("int f() {\n", file.as_uri(), "c")
        await editor.command("infill.status")
        assert await indentation(editor, file.as_uri()) == Indentation()
