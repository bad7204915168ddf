"""The same answer as an item of the ordinary list, where there is no ghost text."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_editor import GHOST, Editor, NewEditor

from infill.lsp.popup import _fenced, _label

PLAIN: dict[str, Any] = {"textDocument": {"completion": {"completionItem": {"documentationFormat": ["markdown", "plaintext"]}}}}


async def items(editor: Editor, line: int, character: int) -> list[dict[str, Any]]:
    place = {"textDocument": {"uri": "file:///project/a.py"}, "position": {"line": line, "character": character}}
    found: list[dict[str, Any]] = (await editor.result("textDocument/completion", **place))["items"]
    return found


@pytest.mark.parametrize(
    ("capabilities", "popup", "offered"),
    [(PLAIN, "auto", True), (PLAIN, "never", False), (GHOST, "auto", False), (GHOST, "always", True), ({}, "auto", True)],
)
async def test_it_is_offered_where_there_is_no_ghost_text_or_the_user_wants_it(
    new_editor: NewEditor, capabilities: Any, popup: str, offered: bool
) -> None:
    editor = new_editor()
    result = await editor.start(capabilities, {"completion": {"popup": popup}})
    assert ("completionProvider" in result["capabilities"]) is offered
    editor.open("x = ")
    assert bool(await items(editor, 0, 4)) is offered


async def test_the_item_shows_its_first_line_and_inserts_the_whole(new_editor: NewEditor) -> None:
    editor = new_editor(["urn a + b\n\n\nprint(add(1, 2))"])
    await editor.start(PLAIN)
    editor.open("def add(a, b):\n    ret")
    (item,) = await items(editor, 1, 7)
    assert item["label"] == "return a + b"
    assert item["filterText"].startswith("ret")
    assert item["textEdit"]["newText"].startswith("return a + b")
    assert item["textEdit"]["range"] == {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 7}}
    assert item["insertTextMode"] == 1 and item["insertTextFormat"] == 1
    assert "return a + b" in item["documentation"]["value"]
    assert item["command"]["command"] == "infill.didAccept"


async def test_a_changed_setting_is_told_to_editors_that_can_hear_it(new_editor: NewEditor) -> None:
    editor = new_editor()
    await editor.start({"textDocument": {"inlineCompletion": {}, "completion": {"dynamicRegistration": True}}, "workspace": {"configuration": True}})
    editor.settings = {"completion": {"popup": "always"}}
    editor.notify("workspace/didChangeConfiguration", settings=None)
    (offered,) = await editor.until(lambda: [one for one in editor.asked if one["method"] == "client/registerCapability"])
    editor.settings = {}
    editor.notify("workspace/didChangeConfiguration", settings=None)
    (withdrawn,) = await editor.until(lambda: [one for one in editor.asked if one["method"] == "client/unregisterCapability"])
    assert [one["method"] for one in offered["params"]["registrations"]] == ["textDocument/completion"]
    assert [one["id"] for one in withdrawn["params"]["unregisterations"]] == [one["id"] for one in offered["params"]["registrations"]]


def test_a_label_is_one_short_line() -> None:
    assert _label("\n\n   return x\n  y") == "return x"
    assert len(_label("x" * 500)) == 80


def test_a_suggestion_with_fences_in_it_is_fenced_all_the_same() -> None:
    assert _fenced("```\ncode\n```", "markdown").startswith("````markdown\n")
