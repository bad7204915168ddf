"""Where the cursor rests is told before a key falls: by our own message, or by editors that ask for code actions there."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_editor import Editor

URI = "file:///project/a.py"
TEXT = "first = 1\nsecond = 2\nthird = 3\n"


def rests(editor: Editor, line: int, character: int, uri: str = URI) -> None:
    editor.notify("infill/cursor", textDocument={"uri": uri}, position={"line": line, "character": character})


async def warmed(editor: Editor, prefix: str) -> str:
    """Wait until what stands before a place has been evaluated; what stands behind it there."""
    await editor.until(lambda: editor.fake.warmed and editor.fake.warmed[-1].prefix == prefix)
    return editor.fake.warmed[-1].suffix


async def actions(editor: Editor, end: int, kind: int) -> None:
    span = {"start": {"line": 1, "character": 9}, "end": {"line": 1, "character": end}}
    await editor.result("textDocument/codeAction", textDocument={"uri": URI}, range=span, context={"diagnostics": [], "triggerKind": kind})


async def test_the_place_where_the_cursor_rests_is_evaluated_ahead(editor: Editor) -> None:
    editor.open(TEXT)
    rests(editor, 1, 9)
    assert await warmed(editor, "first = 1\nsecond = ") == "2\nthird = 3\n"
    assert not editor.fake.asked


async def test_a_place_that_is_known_is_no_news(editor: Editor) -> None:
    editor.open(TEXT)
    rests(editor, 1, 9)
    await warmed(editor, "first = 1\nsecond = ")
    seen = len(editor.fake.warmed)
    rests(editor, 1, 9)
    rests(editor, 2, 0)
    await warmed(editor, "first = 1\nsecond = 2\n")
    assert len(editor.fake.warmed) == seen + 1


async def test_the_cursor_between_brackets_that_the_editor_closed_is_where_the_editor_says(editor: Editor) -> None:
    editor.open(TEXT)
    editor.change("()", 1, 10)
    rests(editor, 1, 11)
    assert await warmed(editor, "first = 1\nsecond = 2(") == ")\nthird = 3\n"


async def test_an_editor_that_asks_for_code_actions_by_itself_tells_where_the_cursor_is(editor: Editor) -> None:
    editor.open(TEXT)
    await actions(editor, 9, 2)
    assert await warmed(editor, "first = 1\nsecond = ") == "2\nthird = 3\n"


@pytest.mark.parametrize(("end", "kind"), [(10, 2), (9, 1)], ids=["of a selection", "asked for by hand"])
async def test_code_actions_of_another_sort_say_nothing_of_the_cursor(editor: Editor, end: int, kind: int) -> None:
    editor.open(TEXT)
    await actions(editor, end, kind)
    rests(editor, 2, 0)
    await warmed(editor, "first = 1\nsecond = 2\n")
    assert "first = 1\nsecond = " not in [prompt.prefix for prompt in editor.fake.warmed]


@pytest.mark.parametrize(
    "params",
    [
        {"textDocument": {"uri": URI}, "position": {"line": 1, "character": -1}},
        {"textDocument": {"uri": URI}, "position": {"line": True, "character": 3}},
        {"textDocument": {"uri": URI}, "position": [1, 2]},
        {"textDocument": {"uri": 7}, "position": {"line": 0, "character": 0}},
        {"textDocument": {"uri": "file:///project/never-opened.py"}, "position": {"line": 0, "character": 0}},
        {"textDocument": URI},
        {},
    ],
)
async def test_a_place_of_the_cursor_that_is_none_changes_nothing(editor: Editor, params: dict[str, Any]) -> None:
    editor.open(TEXT)
    editor.notify("infill/cursor", **params)
    await editor.until(lambda: editor.fake.warmed)
    document = editor.server.documents.get(URI)
    assert document is not None and document.cursor == (0, 0)
    rests(editor, 99_999, 99_999)
    assert await warmed(editor, TEXT) == ""
