"""A hundred random switches between two local models and a remote one during typing.

Every request ends without an error. Every answer comes from one model, the one that it names. Afterwards the memory is as before.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any, NamedTuple

import far_server
import parrot
import psutil
import pytest
from lsprotocol import types
from real_editor import ADD, PATIENCE, Editor, NewEditor

from infill import paths

SWITCHES = 100
WORD = "wychk"
"""The parrot model's output; the test types none of its letters."""
BUNDLED, PARROT, FAR = "local:bundled", "local:parrot", "llamacpp:far/big"
NAMED = {("local", BUNDLED): BUNDLED, ("local", PARROT): PARROT, ("llamacpp:far", "big"): FAR, ("llamacpp:far", FAR): FAR}
"""The provider and model in `infill.explain` -> our id. A remote model has its id until the answer has ended, then its server's name."""
LINES = ("value = ", "return self.", "if not value.", "items.append(", "print(value, ")
"""The lines to type, key by key."""
CANCELLED = -32800
AGREEING = 0.8
"""Least share of equal answers when the built-in model completes the same text again. The rest differs: typing continued a running answer then,
and rounding decides between equally likely tokens."""


class Said(NamedTuple):
    """An answer, and the model that it names."""

    model: str
    text: str
    above: str
    line: str


class Typist:
    """Types, sends a request at every key, and waits for the answer or cancels it."""

    def __init__(self, editor: Editor, seed: int) -> None:
        self.editor = editor
        self.said: list[Said] = []
        self.left: list[asyncio.Future[Any]] = []
        """Requests that were cancelled."""
        self._dice = random.Random(seed)
        self._answered = asyncio.Event()
        self.weary = False

    async def type(self) -> None:
        """Type one file after another until `weary` is set."""
        while not self.weary:
            number = len(self.editor.versions)
            uri = f"file:///project/typed_{number}.py"
            self.editor.open("import os\n\n", uri)
            await self._fill(uri)
            self.editor.client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri)))

    async def answers(self, count: int) -> None:
        """Wait for `count` more answers."""
        wanted = len(self.said) + count
        while len(self.said) < wanted:
            self._answered.clear()
            await asyncio.wait_for(self._answered.wait(), PATIENCE)

    async def _fill(self, uri: str) -> None:
        above = ["import os", ""]
        for row in range(2, 12):
            if self.weary:
                return
            line = self._dice.choice(LINES)
            for column, key in enumerate(line):
                self.editor.type(key, row, column, uri)
                await self._ask(uri, row, "\n".join(above), line[: column + 1])
            self.editor.type("\n", row, len(line), uri)
            above.append(line)

    async def _ask(self, uri: str, row: int, above: str, line: str) -> None:
        client, number = self.editor.client, f"key-{len(self.left)}-{len(self.said)}-{uri}-{row}-{len(line)}"
        question = self.editor.question(row, len(line), uri)
        asked = asyncio.ensure_future(client.protocol.send_request_async("textDocument/inlineCompletion", question, msg_id=number))
        if self._dice.random() < 0.7:
            await asyncio.sleep(0)  # sends the request
            client.cancel_request(types.CancelParams(id=number))
            self.left.append(asked)
            return
        items = (await asyncio.wait_for(asked, PATIENCE)).items
        if items:
            told = await self.editor.command("infill.explain")
            named = told["provider"], told["model"]
            self.said.append(Said(NAMED.get(named, str(named)), items[0].insert_text, above, line))
        self._answered.set()


@pytest.fixture
def parrot_file(home: Path) -> Path:
    """A second local model, in the user's own catalogue."""
    file = home / "parrot.gguf"
    parrot.write(file, WORD)
    paths.config_directory().mkdir(parents=True, exist_ok=True)
    (paths.config_directory() / "models.toml").write_text(f'[[model]]\nid = "parrot"\ntitle = "Parrot"\npath = "{file}"\n')
    return file


async def _settled(editor: Editor, models: list[str]) -> int:
    """Private memory of server and engine in bytes, once exactly these models are in memory."""
    for _ in range(1000):
        engine = await editor.engine()
        if [one["model"] for one in engine["models"]] == models:
            return int(editor.server.memory_full_info().uss + psutil.Process(engine["pid"]).memory_full_info().uss)
        await asyncio.sleep(0.02)  # another process's state
    raise AssertionError(engine)


async def _switch(editor: Editor, model: str) -> None:
    assert (await editor.command("infill.switchModel", {"model": model}))["model"] == model


async def _said_again(editor: Editor, said: list[Said]) -> list[str]:
    """The answers of the current model for the same text, in new documents."""
    again = []
    for number, one in enumerate(said):
        uri = f"file:///project/again_{number}.py"
        editor.open(f"{one.above}\n{one.line}", uri)
        items = await editor.ghosts(one.above.count("\n") + 1, len(one.line), uri)
        again.append(str(items[0].insert_text) if items else "")
    return again


async def test_choosing_a_remote_model_gives_the_local_ones_memory_back(new_editor: NewEditor) -> None:
    async with far_server.listening() as url:
        far = {"kind": "llamacpp", "url": url, "model": "big"}
        editor = await new_editor(options={"providers": {"order": ["local"], "remote": {"far": far}}})
        editor.open(ADD)
        assert await editor.ghosts(4, 11, invoked=True)
        engine = psutil.Process((await editor.engine())["pid"])
        before = await _settled(editor, [BUNDLED])
        await _switch(editor, FAR)
        after = await _settled(editor, [])
        assert before - after > paths.bundled_model().stat().st_size
        assert engine.is_running()


async def test_a_hundred_switches_under_typing_bring_no_error_no_mixture_and_no_leak(new_editor: NewEditor, parrot_file: Path) -> None:
    dice = random.Random(4)
    async with far_server.listening() as url:
        far = {"kind": "llamacpp", "url": url, "model": "big"}
        editor = await new_editor(options={"completion": {"multiline": False}, "providers": {"order": ["local"], "remote": {"far": far}}})
        typist = Typist(editor, seed=4)
        typing = asyncio.ensure_future(typist.type())
        for model in (BUNDLED, PARROT, FAR, BUNDLED):  # use each model once, so that what stays loaded permanently is loaded
            await _switch(editor, model)
            await typist.answers(5)
        before = await _settled(editor, [BUNDLED])
        chosen = BUNDLED
        for _ in range(SWITCHES):
            chosen = dice.choice([model for model in (BUNDLED, PARROT, FAR) if model != chosen])
            await _switch(editor, chosen)
            await typist.answers(dice.randrange(4))
        await _switch(editor, BUNDLED)
        await typist.answers(5)
        typist.weary = True
        await typing
        after = await _settled(editor, [BUNDLED])
        ended = await asyncio.wait_for(asyncio.gather(*typist.left, return_exceptions=True), PATIENCE)
        again = await _said_again(editor, [said for said in typist.said if said.model == BUNDLED][:60])
    assert [end for end in ended if isinstance(end, BaseException) and getattr(end, "code", 0) != CANCELLED] == []
    assert not editor.client.messages
    assert [status for status in editor.statuses if status.kind in {"error", "warning"}] == []
    _judge(typist.said, again)
    assert after < 1.05 * before


def _judge(said: list[Said], again: list[str]) -> None:
    assert {one.model for one in said} == {BUNDLED, PARROT, FAR}
    assert [one for one in said if one.model == PARROT and one.text != WORD] == []
    assert [one for one in said if one.model == FAR and one.text != far_server.says(one.line)] == []
    bundled = [one.text for one in said if one.model == BUNDLED]
    assert [text for text in bundled if WORD in text or text.startswith("gx")] == []
    same = sum(second.startswith(first) or first.startswith(second) for first, second in zip(bundled, again, strict=False))
    assert same >= AGREEING * len(again)
