"""The next edit by a model: asked where no rule applies, stopped when it has rejoined the old text, and never shown for another version."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from scripted_editor import Editor, NewEditor

from infill.ask import Delta, Event, Finish, Instruction, Report, Rewriting
from infill.errors import ProviderUnavailable
from infill.lsp.next_edit_model import ModelEdits

URI = "file:///project/a.py"
TEXT = "def total(items, rate):\n    s = 0\n    for item in items:\n        s += item.price\n    return s\n\n\ndef label(items):\n    return str(items)\n"
EDITED = "    s = 0.0"


class Scripted:
    """In the place of the provider: answers what it was told to, piece by piece."""

    def __init__(self, pieces: Sequence[str], finish: Finish | None = None) -> None:
        self.pieces, self.finish = pieces, finish or Finish()
        self.asked: list[Rewriting] = []
        self.sent = 0
        self.error: Exception | None = None
        self.typing: Callable[[], Awaitable[None]] | None = None
        """What the user does before each piece."""
        self.local = self

    def edit_model(self) -> str:
        return "local:edits"

    async def rewrite(self, rewriting: Rewriting) -> AsyncIterator[Event]:
        self.asked.append(rewriting)
        if self.error is not None:
            raise self.error
        for piece in self.pieces:
            self.sent += 1
            if self.typing is not None:
                await self.typing()
            yield Delta(piece)
        yield self.finish
        yield Report(provider="local", model="local:edits")


@pytest.fixture
async def editor(new_editor: NewEditor) -> Editor:
    one = new_editor()
    await one.start()
    one.open(TEXT)
    one.change(EDITED, 1, 0, until=(1, 9))
    return one


def _with(editor: Editor, scripted: Scripted) -> Scripted:
    edits = editor.server.next_edits.model
    assert isinstance(edits, ModelEdits)
    edits._provision = scripted  # type: ignore[assignment]
    edits._chosen = lambda: ("local:edits", "sweep", "Edits 0.5B")  # type: ignore[method-assign]
    return scripted


async def _ask(editor: Editor) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await editor.result("infill/nextEdit", textDocument={"uri": URI}, position={"line": 1, "character": len(EDITED)}))[
        "edits"
    ]
    return found


async def _reason(editor: Editor) -> str:
    return str((await editor.command("infill.explain"))["nextEdit"]["reason"])


ANSWER = ["    s = 0.0\n    for item in items:\n", "        s += float(item.price)\n", "    return s\n"]


async def test_the_edit_of_a_model_is_offered_with_its_reason(editor: Editor) -> None:
    scripted = _with(editor, Scripted(ANSWER))
    (edit,) = await _ask(editor)
    assert (edit["source"], edit["range"]["start"]["line"], edit["text"]) == ("model", 3, "float(item.price)")
    assert edit["reason"] == "Edits 0.5B expects it after your edit on line 2"
    assert "<|file_sep|>" in {piece.control for piece in scripted.asked[0].pieces}


async def test_an_answer_that_has_rejoined_the_old_text_is_stopped(editor: Editor) -> None:
    pieces = ["    s = 0.0\n", "    for item in list(items):\n", "        s += item.price\n", "    return s\n", *["more\n"] * 9]
    scripted = _with(editor, Scripted(pieces))
    (edit,) = await _ask(editor)
    assert edit["text"] == "list(items)"
    assert scripted.sent == 4


async def test_a_rejected_edit_of_a_model_is_not_offered_again(editor: Editor) -> None:
    _with(editor, Scripted(ANSWER))
    (edit,) = await _ask(editor)
    editor.notify("infill/nextEditRejected", id=edit["id"], reason="rejected")
    assert await _ask(editor) == []
    assert await _reason(editor) == "it was rejected before"


async def test_an_answer_for_a_document_that_changed_meanwhile_is_dropped(editor: Editor) -> None:
    scripted = _with(editor, Scripted(ANSWER))

    async def typing() -> None:
        editor.change("x", 5, 0, version=scripted.sent + 9)
        await editor.until(lambda: (editor.server.documents.get(URI) or editor).version == scripted.sent + 9)  # type: ignore[union-attr]

    scripted.typing = typing
    assert await _ask(editor) == []
    assert await _reason(editor) == "the document changed meanwhile"


async def test_a_model_that_does_not_answer_is_told_in_a_sentence(editor: Editor) -> None:
    _with(editor, Scripted([])).error = ProviderUnavailable("The engine exited.")
    assert await _ask(editor) == []
    assert "The engine exited." in await _reason(editor)


async def test_an_answer_at_the_token_limit_is_not_shown(editor: Editor) -> None:
    _with(editor, Scripted(["    s = 0.0\n    for item"], Finish(why="length")))
    assert await _ask(editor) == []
    assert await _reason(editor) == "the answer reached the token limit"


async def test_without_a_chosen_model_none_is_asked(editor: Editor) -> None:
    scripted = _with(editor, Scripted(ANSWER))
    editor.server.next_edits.model._chosen = lambda: None  # type: ignore[union-attr,method-assign]
    assert await _ask(editor) == []
    assert not scripted.asked


@pytest.mark.parametrize(("line", "asked"), [("api_key = 'sk-ant-api03-" + "Zm9vYmFyYmF6cXV4" * 4 + "'", 0), ("limit = 'rate'", 1)])
async def test_lines_with_a_secret_are_not_sent_to_a_remote_model_for_an_edit(editor: Editor, line: str, asked: int) -> None:
    """Its answer would put the mask in the secret's place."""
    scripted = _with(editor, Scripted([]))
    sent: list[Instruction] = []

    async def generate(instruction: Instruction, chosen: str) -> AsyncIterator[Event]:
        sent.append(instruction)
        yield Finish()
        yield Report(provider="remote", model=chosen)

    scripted.writer = lambda chosen: SimpleNamespace(generate=generate)  # type: ignore[attr-defined]
    editor.server.next_edits.model._chosen = lambda: ("work:edits", "instruct", "work:edits")  # type: ignore[union-attr,method-assign]
    editor.change(f"\n{line}", 1, len(EDITED), version=7)
    await _ask(editor)
    assert len(sent) == asked, await _reason(editor)
    assert ("secret" in await _reason(editor)) == (not asked)
