"""The peer's habits: what it sends, what it remembers, when it shows something. A scripted llama-server answers over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from infill.bench import peer
from infill.bench.document import Document
from infill.bench.peer import LlamaVim, context_of, shown_of
from infill.bench.recorder import Recorder
from infill.bench.weights import Weights


class Server:
    """Answers `/infill` when it is told to."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers: list[str] = []
        self.go = asyncio.Event()
        self.go.set()
        self.seen = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # the editor was closed before it had asked
            writer.close()
            return
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        self.asked.append(json.loads(await reader.readexactly(length)))
        self.seen.set()
        await self.go.wait()
        body = json.dumps({"content": self.answers.pop(0) if self.answers else "", "timings/prompt_n": 7, "tokens_cached": 20}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, LlamaVim, Document, Recorder]]:
    scripted, recorder = Server(), Recorder()
    listening = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    weights = Weights(name="x", path=Path("x.gguf"))
    editor = LlamaVim(Path("llama-server"), weights, Path(), recorder, None, None, port=listening.sockets[0].getsockname()[1])
    document = Document("a.py", "python", "import os\n\n\n")
    document.cursor = len("import os\n")
    editor.use(document)
    yield scripted, editor, document, recorder
    await editor.close()
    listening.close()


async def until(reached: object) -> None:
    """Wait for what another task does; a bounded poll, because nothing tells."""
    for _ in range(400):
        if reached():  # type: ignore[operator]
            return
        await asyncio.sleep(0.005)
    pytest.fail("it never happened")


async def type_in(editor: LlamaVim, document: Document, text: str) -> None:
    for letter in text:
        await editor.edited(document, document.type(letter))


async def test_never_two_requests_at_once(server: tuple[Server, LlamaVim, Document, Recorder]) -> None:
    scripted, editor, document, _ = server
    scripted.go.clear()
    await type_in(editor, document, "abc")
    await asyncio.wait_for(scripted.seen.wait(), 2)
    assert [one["prompt"] for one in scripted.asked] == ["a"]
    scripted.go.set()
    await until(lambda: len(scripted.asked) == 2)
    assert scripted.asked[1]["prompt"] == "abc"


async def test_what_is_typed_along_is_answered_from_memory(server: tuple[Server, LlamaVim, Document, Recorder]) -> None:
    scripted, editor, document, recorder = server
    scripted.answers = ["bcd"]
    await type_in(editor, document, "a")
    await until(lambda: editor.ghost == "bcd")
    await type_in(editor, document, "b")
    assert editor.ghost == "cd"
    last = [moment for moment in recorder.moments if moment.what == "shown"][-1]
    assert (last.text, last.source) == ("cd", "cache")


async def test_the_next_suggestion_is_asked_for_ahead_with_more_time(server: tuple[Server, LlamaVim, Document, Recorder]) -> None:
    scripted, editor, document, _ = server
    scripted.answers = ["bcd", "next"]
    await type_in(editor, document, "a")
    await until(lambda: len(scripted.asked) == 2)
    first, ahead = scripted.asked
    assert (first["t_max_predict_ms"], ahead["t_max_predict_ms"]) == (250, 1000)
    assert ahead["prompt"] == "abcd"
    await until(lambda: len(editor.remembered) == 2 * len(context_of(document.before, document.after).keys))
    await editor.accept(document)
    assert editor.ghost == "next"


async def test_a_line_with_much_right_of_the_cursor_is_left_alone(server: tuple[Server, LlamaVim, Document, Recorder]) -> None:
    scripted, editor, document, _ = server
    document.text = "value = (something, else)\n"
    document.cursor = 9
    await type_in(editor, document, "x")
    assert not scripted.asked


def test_what_is_sent_is_what_llama_vim_sends() -> None:
    before = "\n".join(f"line {number}" for number in range(400)) + "\n    value = "
    after = ")\n" + "\n".join(f"below {number}" for number in range(100)) + "\n"
    context = context_of(before, after)
    assert context.prefix.count("\n") == peer.PREFIX_LINES
    assert context.middle == "    value = "
    assert context.suffix.startswith(")\nbelow 0\n")
    assert context.suffix.count("\n") == peer.SUFFIX_LINES + 1
    assert context.indent == 4
    assert len(context.keys) == 4


def test_a_blank_line_is_sent_without_its_indentation() -> None:
    context = context_of("if x:\n    ", "\nrest\n")
    assert (context.middle, context.indent) == ("", 0)
    assert shown_of("    return x", "if x:\n    ", "\nrest\n") == "return x"


@pytest.mark.parametrize(
    ("content", "before", "after"),
    [
        ("  \n", "a", "\n"),
        (")", "call(", ")\n"),
        ("return x", "    ", "\n    return x\nend\n"),
        ("return x\nend", "    ", "\n\n    return x\nend of it\n"),
    ],
)
def test_what_repeats_the_text_is_not_shown(content: str, before: str, after: str) -> None:
    assert shown_of(content, before, after) == ""
