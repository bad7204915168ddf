"""`infill bench figures`: overhead of the server and the engine process, measured on the real processes."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from infill.bench import metrics, traces
from infill.bench.client import Client
from infill.bench.document import Document
from infill.bench.ours import CAPABILITIES, InfillEditor, settings_for
from infill.bench.processes import private, resident
from infill.bench.recorder import Recorder
from infill.bench.targets import Row, number
from infill.bench.weights import Weights, home, weights
from infill.engine import launch
from infill.engine.client import EngineClient
from infill.errors import InfillError

BARE = "from pygls.lsp.server import LanguageServer; LanguageServer('bare', '1').start_io()"
STRANGERS = ("llama_cpp", "libllama", "libggml", "numpy")
"""Libraries that must not be mapped into the server's memory."""
KEYS = 60
TYPED = "self.value = compute(result, key=lambda item: item.name, reverse=True)"
QUIET: dict[str, Any] = {"engine": {"warm": False, "prefetch": False, "refresh": False, "goOn": False}}
"""No background work, so that the time at which the engine is idle can be measured."""
SETTLE_SECONDS = 0.25
LESSONS = 12
"""Maximum number of answers until the engine knows its generation speed, at least two. Answers with drafts are not used for it."""


class Question(msgspec.Struct, frozen=True):
    """One request as measured in the editor, and the server's report on it."""

    milliseconds: float
    source: str
    text: str
    model_ms: float | None
    """Milliseconds in the model; None if the answer ended before the engine's report."""
    waited_ms: float


async def all_figures(rounds: int, shape: Weights, say: Callable[[str], None]) -> list[Row]:
    """All rows in the order of the table."""
    rows = [await start_up(rounds, say)]
    say("A hundred completions with the bundled model ...")
    rows += await around_the_model()
    say(f"Cancelling {shape.name} {2 * rounds} times ...")
    rows.append(await cancel_to_idle(shape, rounds))
    return rows


async def start_up(rounds: int, say: Callable[[str], None]) -> Row:
    """Milliseconds from the start of the process to the reply to `initialize`, alternating with a minimal pygls server."""
    say(f"Starting servers {2 * rounds} times ...")
    ours, bare = [], []
    with home(weights("bundled")) as folder:
        for _ in range(rounds):
            bare.append(await _initialize([sys.executable, "-c", BARE], folder))
            ours.append(await _initialize([sys.executable, "-m", "infill", "lsp"], folder))
    mine, theirs = metrics.percentile(ours, 0.5), metrics.percentile(bare, 0.5)
    return Row(
        what="`initialize` answered, against a bare pygls server",
        measured=round(mine / theirs, 3),
        unit="x",
        target=1.3,
        note=f"medians of {rounds}: {mine:.0f} ms and {theirs:.0f} ms",
    )


async def _initialize(command: list[str], folder: Path) -> float:
    began = time.perf_counter()
    client = await Client.start(command, os.environ, {}, folder / "start.log")
    try:
        await client.initialize(CAPABILITIES, folder)
        return (time.perf_counter() - began) * 1000
    finally:
        await client.aclose()


@asynccontextmanager
async def opened(measured: Weights, document: Document, settings: dict[str, Any] | None = None) -> AsyncIterator[InfillEditor]:
    """An editor with infill and an open document, with the model loaded."""
    with home(measured) as folder:
        editor = InfillEditor(folder, settings_for(measured, None, None, settings), Recorder())
        try:
            await editor.open(document)
            yield editor
        finally:
            await editor.close()


async def around_the_model() -> list[Row]:
    """The server's memory, the overhead of a completion, and cache hits, with the bundled model."""
    document = _document()
    async with opened(weights("bundled"), document, {"completion": {"multiline": False}}) as editor:
        asked = [await _key(editor, document, letter) for letter in TYPED[:KEYS]]
        hits = await _typed_along(editor, document)
        server = psutil.Process(editor.client.process.pid)
        size, own = resident(server), private(server)
        strangers = _strangers(server)
    overheads = [max(0.0, one.milliseconds - one.model_ms - one.waited_ms) for one in asked if one.source == "model" and one.model_ms is not None]
    return [
        Row(
            what="language server's resident memory",
            measured=round(size / 2**20, 1),
            unit="MiB",
            target=80,
            note=f"after {len(asked) + len(hits)} completions; {own / 2**20:.0f} MiB of it its own",
        ),
        *strangers,
        Row(
            what="overhead of a completion, median",
            measured=round(metrics.percentile(overheads, 0.5), 2),
            unit="ms",
            target=5,
            note=f"round trip less llama.cpp's time, {len(overheads)} answers; 95th percentile {metrics.percentile(overheads, 0.95):.1f} ms",
        ),
        Row(
            what="cache hit, 95th percentile",
            measured=round(metrics.percentile(hits, 0.95), 2),
            unit="ms",
            target=3,
            note=f"round trip while typing what is shown, {len(hits)} keys; median {metrics.percentile(hits, 0.5):.2f} ms",
        ),
    ]


def _strangers(server: psutil.Process) -> list[Row]:
    if sys.platform == "darwin":
        return []  # macOS cannot list the mapped files of a process
    found = sorted({name for name in STRANGERS for part in server.memory_maps() if name in part.path})
    return [Row(what="libraries of the model in the language server", measured=len(found), target=0, note=", ".join(found) or "none is mapped")]


def _document() -> Document:
    trace = traces.default()
    document = Document(trace.name, trace.language, trace.text)
    document.cursor = trace.holes[0].offset
    return document


async def _key(editor: InfillEditor, document: Document, letter: str) -> Question:
    """Type a letter and wait for the result."""
    change = document.type(letter)
    editor.tell(document, change)
    asked = await question(editor, document)
    await asyncio.sleep(SETTLE_SECONDS)
    return asked


async def question(editor: InfillEditor, document: Document) -> Question:
    """Request ghost text at the cursor, then the explanation of the answer."""
    began = time.perf_counter()
    _, answer = editor.client.request("textDocument/inlineCompletion", editor.question(document, invoked=False))
    result, at = await answer
    items = (result or {}).get("items", [])
    while True:
        told = await editor.command("infill.explain")
        account = told.get("answer") or {}
        if not account or account.get("complete") or account.get("ended"):
            break
        await asyncio.sleep(0.005)
    spent = None if account.get("evaluateMs") is None else float(account["evaluateMs"]) + float(account["generateMs"])
    ghost = editor.ghost_of(items[0], document) if items else None
    text = str(ghost["text"]) if ghost else ""
    # an answer whose text was not worth showing counts as an answer of the model
    source = "model" if told.get("cache") == "miss" and account else str(told.get("source", ""))
    return Question((at - began) * 1000, source, text, spent, float(told["timings"]["waitedMs"]))


async def _typed_along(editor: InfillEditor, document: Document) -> list[float]:
    """Milliseconds of the cached answers while typing exactly the shown suggestion."""
    found: list[float] = []
    for beginning in ("\n    def close(self) -> None:\n        self.", "\n        for name in ", "\n        return ", "\n        if not "):
        editor.tell(document, document.type(beginning))
        shown = (await question(editor, document)).text
        for letter in shown.partition("\n")[0][:-1]:
            editor.tell(document, document.type(letter))
            asked = await question(editor, document)
            if asked.source == "cache":
                found.append(asked.milliseconds)
    return found


async def cancel_to_idle(measured: Weights, rounds: int) -> Row:
    """Time from cancellation to idle: half of the requests are cancelled during prompt processing, half during generation."""
    dice = random.Random(1)
    evaluating, generating = [], []
    async with opened(measured, _document(), QUIET) as editor:
        watcher = await launch.connect("infill bench watcher")
        if watcher is None:
            raise InfillError("The engine exited.")
        try:
            one_token = await _learned_token_ms(editor, watcher)
            for turn in range(rounds):
                evaluating.append(await _cancel(editor, watcher, _other(f"{turn}", whole=True), dice.uniform(0.05, 0.6)))
                generating.append(await _cancel(editor, watcher, _other(f"{turn}", whole=False), dice.uniform(0.5, 1.2)))
        finally:
            await watcher.aclose()
    return cancel_row(measured.name, _known(evaluating), _known(generating), one_token)


def _known(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def cancel_row(name: str, evaluating: list[float], generating: list[float], one_token: float) -> Row:
    """The row for the milliseconds. The target is 50 ms, or one token if that takes longer."""
    return Row(
        what=f"cancel to idle, {name}, 95th percentile",
        measured=round(metrics.percentile([*evaluating, *generating], 0.95), 1),
        unit="ms",
        target=round(max(50.0, one_token), 1),
        note=f"{_seen('while evaluating', evaluating)}; {_seen('while generating', generating)}; one token takes {number(one_token)} ms",
        unknown="" if evaluating or generating else "every answer came before it was cancelled",
    )


def _seen(when: str, values: list[float]) -> str:
    if not values:
        return f"never {when}"
    median, slowest = (metrics.percentile(values, share) for share in (0.5, 0.95))
    return f"{when} {len(values)} times, median {median:.1f} ms, 95th percentile {slowest:.1f} ms"


def _other(name: str, whole: bool) -> Document:
    """A document that is not in the cache: long, to be evaluated for seconds, or short."""
    text = traces.default().text
    content = f"# {name}\n{text}" if whole else f"# {name}\ndef main(arguments):\n    "
    document = Document(f"other-{name}-{whole}.py", "python", content)
    document.cursor = len(content) // 2 if whole else len(content)
    return document


async def _cancel(editor: InfillEditor, watcher: EngineClient, document: Document, after: float) -> float | None:
    """Send a request, and cancel it after this many seconds; None if the answer came first."""
    await editor.show(document)
    number, answer = editor.client.request("textDocument/inlineCompletion", editor.question(document, invoked=True))
    await asyncio.sleep(after)
    spent = await cancelled(editor.client, watcher, number)
    await asyncio.gather(answer, return_exceptions=True)
    return spent


async def cancelled(client: Client, watcher: EngineClient, number: int) -> float | None:
    """Cancel a request; milliseconds until the engine is idle, None if it was idle already."""
    if (await watcher.status()).state != "generating":
        return None
    began = time.perf_counter()
    client.cancel(number)
    while (await watcher.status()).state == "generating":  # noqa: ASYNC110 - another process's state
        await asyncio.sleep(0.001)
    return (time.perf_counter() - began) * 1000


async def token_ms(watcher: EngineClient) -> float:
    """Milliseconds per token as measured by the engine; 0 before the first complete answer."""
    status = await watcher.status()
    speed = status.models[0].generate_per_second if status.models else 0.0
    return 1000 / speed if speed else 0.0


async def _learned_token_ms(editor: InfillEditor, watcher: EngineClient) -> float:
    """The same, after complete answers. Raises InfillError if the engine has no measurement after them."""
    for lesson in range(LESSONS):
        document = _other(f"lesson-{lesson}", whole=False)
        await editor.show(document)
        await question(editor, document)
        if lesson and (spent := await token_ms(watcher)):
            return spent
    raise InfillError(f"After {LESSONS} answers the engine does not know how long a token takes.")
