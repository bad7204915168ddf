"""Next edits as an editor gets them: for the version asked about, rejected ones never again, excluded files none."""

from __future__ import annotations

from typing import Any

import pytest
from scripted_editor import Editor, NewEditor

URI = "file:///project/a.py"
TEXT = "def total(items, rate):\n    s = 0\n    for item in items:\n        s += item.price * rate\n    print(rate)\n    return s\n"


async def _edits(editor: Editor, line: int = 1, method: str = "infill/nextEdit", **more: Any) -> list[dict[str, Any]]:
    version = more.pop("version", None)
    document = {"uri": URI} | ({"version": version} if version is not None else {})
    found: list[dict[str, Any]] = (
        await editor.result(method, textDocument=document, position={"line": line, "character": 0}, context=more.pop("context", None))
    )["edits"]
    return found


@pytest.fixture
async def editor(new_editor: NewEditor) -> Editor:
    one = new_editor()
    await one.start()
    one.open(TEXT)
    return one


def _rename(editor: Editor) -> None:
    editor.change("tax", 0, 17, until=(0, 21))


async def test_a_renamed_parameter_is_renamed_on_the_next_line_that_has_it(editor: Editor) -> None:
    _rename(editor)
    (edit,) = await _edits(editor, version=2)
    assert (edit["kind"], edit["source"], edit["text"]) == ("rename", "rename", "tax")
    assert edit["reason"] == "you renamed `rate` to `tax` on line 1"
    assert edit["range"] == {"start": {"line": 3, "character": 26}, "end": {"line": 3, "character": 30}}
    assert edit["textDocument"] == {"uri": URI, "version": 2}
    assert edit["cursor"] == {"line": 3, "character": 29}
    assert [one["newText"] for one in edit["all"]["documentChanges"][0]["edits"]] == ["tax", "tax"]


async def test_the_name_that_other_clients_use_has_the_same_answer(editor: Editor) -> None:
    _rename(editor)
    ours, theirs = await _edits(editor), await _edits(editor, method="textDocument/copilotInlineEdit")
    assert [one["range"] for one in ours] == [one["range"] for one in theirs]


async def test_an_accepted_edit_is_followed_by_the_next_of_its_chain(editor: Editor) -> None:
    _rename(editor)
    (edit,) = await _edits(editor)
    editor.change("tax", 3, 26, version=3, until=(3, 30))
    await editor.command("infill.didAccept", edit["id"])
    (following,) = await _edits(editor)
    assert (following["range"]["start"]["line"], following["group"]) == (4, edit["group"])
    editor.change("tax", 4, 10, version=4, until=(4, 14))
    await editor.command("infill.didAccept", following["id"])
    assert await _edits(editor) == []
    assert (await editor.command("infill.explain"))["nextEdit"] == {"reason": "no rule applies", "edits": 3, "counts": {"rename": {"accepted": 2}}}


async def test_another_version_than_the_one_asked_about_gets_nothing(editor: Editor) -> None:
    _rename(editor)
    assert await _edits(editor, version=1) == []
    assert len(await _edits(editor, version=2)) == 1


async def test_a_change_while_the_answer_waits_for_the_word_to_end_drops_it(editor: Editor) -> None:
    _rename(editor)
    _, reply = editor.begin("infill/nextEdit", textDocument={"uri": URI, "version": 2}, position={"line": 0, "character": 20})
    editor.change("es", 0, 20, version=3)
    assert (await reply)["result"] == {"edits": []}


async def test_a_rejected_edit_and_its_group_do_not_come_back(editor: Editor) -> None:
    _rename(editor)
    (edit,) = await _edits(editor)
    editor.notify("infill/nextEditRejected", id=edit["id"], reason="replaced")
    assert len(await _edits(editor)) == 1
    editor.notify("infill/nextEditRejected", id=edit["id"])
    assert await _edits(editor) == []


async def test_what_was_undone_is_not_suggested_again(editor: Editor) -> None:
    _rename(editor)
    (edit,) = await _edits(editor)
    editor.change("tax", 3, 26, version=3, until=(3, 30))
    await editor.command("infill.didAccept", edit["id"])
    editor.change("rate", 3, 26, version=4, until=(3, 29))
    assert await _edits(editor) == []
    editor.change("0 + ", 5, 11, version=5)
    assert all(one["range"]["start"]["line"] != 3 for one in await _edits(editor, 5))


async def test_nothing_follows_an_undo_or_a_paste(editor: Editor) -> None:
    _rename(editor)
    editor.change("rate", 0, 17, version=3, until=(0, 20))
    assert await _edits(editor) == []
    editor.change("x = 1\n" * 20, 6, 0, version=4)
    assert await _edits(editor) == []


@pytest.mark.parametrize("options", [{"nextEdit": {"mode": "off"}}, {"exclude": ["*.py"]}, {"languages": {"python": False}}, {"enabled": False}])
async def test_where_it_is_switched_off_nothing_is_suggested(new_editor: NewEditor, options: dict[str, Any]) -> None:
    editor = new_editor()
    await editor.start(options=options)
    editor.open(TEXT)
    _rename(editor)
    assert await _edits(editor) == []


async def test_a_new_error_is_a_place_to_jump_to_and_an_old_one_is_not(editor: Editor) -> None:
    def shown(*messages: str) -> dict[str, Any]:
        span = {"start": {"line": 4, "character": 4}, "end": {"line": 4, "character": 9}}
        return {"diagnostics": [{"range": span, "message": message, "severity": 1} for message in messages]}

    assert await _edits(editor, context=shown("old")) == []
    editor.change("x", 1, 4, until=(1, 5))
    assert await _edits(editor, 0, context=shown("old")) == []
    editor.change("y", 1, 4, version=3, until=(1, 5))
    (jump,) = await _edits(editor, 0, context=shown("old", 'Undefined name "s"'))
    assert (jump["kind"], jump["source"], jump["fix"], jump["text"]) == ("jump", "diagnostic", "import", "")
    assert jump["range"]["start"] == jump["range"]["end"] == jump["cursor"] == {"line": 4, "character": 4}
    assert await _edits(editor, 0, "textDocument/copilotInlineEdit", context=shown("old", 'Undefined name "s"')) == []


@pytest.mark.parametrize(
    "params",
    [{}, {"textDocument": 1}, {"textDocument": {"uri": URI}}, {"textDocument": {"uri": "file:///other"}, "position": {"line": 0, "character": 0}}],
)
async def test_parameters_of_the_wrong_shape_get_an_empty_answer(editor: Editor, params: dict[str, Any]) -> None:
    assert await editor.result("infill/nextEdit", **params) == {"edits": []}


async def test_the_document_of_an_editor_that_ends_lines_with_cr_lf_keeps_them(new_editor: NewEditor) -> None:
    editor = new_editor()
    await editor.start()
    literal = "    a: 1,\r\n    b: x,\r\n  },\r\n  {\r\n"
    editor.open("xs = [\r\n  {\r\n" + literal * 3 + "]\r\n")
    editor.change("    c: y,\r\n", 4, 0)
    (edit,) = await _edits(editor, 6)
    assert (edit["text"], edit["range"]["start"]) == ("    c: y,\r\n", {"line": 9, "character": 0})


async def test_positions_count_in_the_editors_units(new_editor: NewEditor) -> None:
    editor = new_editor()
    await editor.start()
    editor.open("def f(value):\n    s = '😀'; return value\n")
    editor.change("number", 0, 6, until=(0, 11))
    (edit,) = await _edits(editor)
    assert edit["range"] == {"start": {"line": 1, "character": 21}, "end": {"line": 1, "character": 26}}


async def test_shown_and_accepted_edits_are_counted_by_their_source_and_not_as_completions(editor: Editor) -> None:
    _rename(editor)
    (edit,) = await _edits(editor)
    editor.notify("textDocument/didShowInlineEdit", item={"command": edit["command"]})
    await editor.command("infill.didAccept", edit["id"])
    told = await editor.command("infill.stats")
    assert (told["shown"], told["accepted"]) == (0, 0)
    assert [(one["provider"], one["model"], one["shown"], one["accepted"]) for one in told["byModel"]] == [("next edits", "rename", 1, 1)]
    assert told["nextEdits"] == [{"source": "rename", "shown": 1, "accepted": 1, "rejected": 0, "ignored": 0}]
    assert (await editor.command("infill.explain"))["nextEdit"]["counts"] == {"rename": {"shown": 1, "accepted": 1}}


@pytest.mark.parametrize("what", ["rejected", "ignored"])
async def test_a_rejected_edit_and_one_that_was_passed_over_are_counted_apart(editor: Editor, what: str) -> None:
    _rename(editor)
    (edit,) = await _edits(editor)
    if what == "rejected":
        editor.notify("infill/nextEditRejected", id=edit["id"], reason="rejected")
    editor.change("# the end\n", len(TEXT.split("\n")) - 1, 0)
    await _edits(editor)
    told = await editor.command("infill.stats")
    assert told["nextEdits"] == [{"source": "rename", "shown": 0, "accepted": 0, "rejected": 0, "ignored": 0} | {what: 1}]
