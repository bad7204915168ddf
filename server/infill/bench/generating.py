"""Overhead of code generation: time to the first text in the editor, time from cancellation to an idle engine, and tokens per second.

Measured through the language server with `infill.generate`, and compared with the engine's report on the same request and with llama-bench.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from infill.bench import figures, metrics, speed
from infill.bench.client import Client
from infill.bench.document import Document
from infill.bench.ours import InfillEditor
from infill.bench.targets import Row, number
from infill.bench.weights import Weights
from infill.engine import launch
from infill.engine.client import EngineClient
from infill.errors import InfillError

TOKENS = 256
"""The length of one or two functions."""
ENOUGH = TOKENS // 2
"""Minimum number of tokens of an answer for a valid speed."""
SETTINGS: dict[str, Any] = {"engine": {**figures.QUIET["engine"], "speculate": False}, "generate": {"maxTokens": TOKENS}}
"""No speculation, because llama-bench generates token by token."""
WISH = "parse the command line"
"""The shapes contain the weights of a small model. After a longer instruction it soon repeats a line, which ends the answer."""


class Streamed(msgspec.Struct, frozen=True):
    """One generation as received by the editor."""

    first_ms: float
    """From the request to the first `infill/generation`."""
    engine_ms: float
    """The engine's time to first token for the same request; 0 if the answer ended before the engine's report."""
    tokens: int
    per_second: float
    """Tokens per second from the first to the last notification."""


class Stream:
    """Arrival times of the notifications of one generation."""

    def __init__(self, client: Client) -> None:
        self.times: list[float] = []
        self.begun = asyncio.Event()
        client.on_notification = self._note

    def _note(self, method: str, params: Any) -> None:
        if method == "infill/generation":
            self.times.append(time.perf_counter())
            self.begun.set()


async def rows(shape: Weights, rounds: int, llama_bench: Path | None, say: Callable[[str], None]) -> list[Row]:
    """The three results for code generation."""
    async with figures.opened(shape, _document(0), SETTINGS) as editor:
        say(f"Writing code with {shape.name} {rounds} times ...")
        await _streamed(editor, 0)  # the first request warms up the processor
        streams = []
        for number in range(1, rounds + 1):
            # llama-bench starts with an empty cache; tokens of other documents would slow down attention
            await editor.command("infill.unloadModel")
            await editor.command("infill.loadModel")
            streams.append(await _streamed(editor, number))
        streams = [one for one in streams if one.engine_ms]
        watcher = await launch.connect("infill bench watcher")
        if watcher is None:
            raise InfillError("The engine exited.")
        try:
            threads = speed.threads_of((await watcher.status()).models)
            say(f"Cancelling {shape.name} while it writes code {rounds} times ...")
            cancelled = await _cancelled(editor, watcher, rounds)
            token_ms = await figures.token_ms(watcher)
        finally:
            await watcher.aclose()
    generated = speed.llama_bench(llama_bench, shape, threads, max(1, rounds // 2), say, TOKENS)[1]
    return [_first_row(shape, streams), _cancel_row(shape, cancelled, token_ms), _speed_row(shape, streams, generated, threads)]


def _first_row(shape: Weights, streams: list[Streamed]) -> Row:
    ours, engines = ([one.first_ms for one in streams], [one.engine_ms for one in streams])
    return Row(
        what=f"first streamed token of generated code, {shape.name}, against the engine's own",
        measured=round(metrics.percentile([mine / its for mine, its in zip(ours, engines, strict=True)], 0.5), 3),
        unit="x",
        target=1.1,
        note=f"medians of {len(streams)}: {metrics.percentile(ours, 0.5):.0f} ms and {metrics.percentile(engines, 0.5):.0f} ms",
        unknown="" if streams else "no answer went on long enough",
    )


def _cancel_row(shape: Weights, cancelled: list[float], token_ms: float) -> Row:
    return Row(
        what=f"cancelled generation to idle, {shape.name}, 95th percentile",
        measured=round(metrics.percentile(cancelled, 0.95), 1),
        unit="ms",
        target=round(max(50.0, token_ms), 1),
        note=f"{len(cancelled)} times, median {metrics.percentile(cancelled, 0.5):.1f} ms; one token takes {number(token_ms)} ms",
        unknown="" if cancelled else "every answer came before it could be cancelled",
    )


def _speed_row(shape: Weights, streams: list[Streamed], generated: float, threads: int) -> Row:
    speeds = [one.per_second for one in streams if one.tokens >= ENOUGH]
    ours = metrics.percentile(speeds, 0.5)
    missing = "llama-bench has not been built (`infill bench build-peer`)" if not generated else "the answers were too short"
    return Row(
        what=f"tokens per second of generated code, {shape.name}, against llama-bench",
        measured=round(ours / generated, 3) if generated else 0.0,
        unit="x",
        target=0.97,
        at_least=True,
        note=f"{ours:.1f} and {generated:.1f} tokens/s with {threads} threads, {TOKENS} tokens, medians of {len(speeds)}",
        unknown="" if speeds and generated else missing,
    )


def _document(number: int) -> Document:
    """A short document that is not in the cache: the server's overhead is largest for short prompts."""
    document = Document(f"written-{number}.py", "python", f"# {number * 7919}\nimport os\n\n\n")
    document.cursor = len(document.text)
    return document


def _question(editor: InfillEditor, document: Document) -> dict[str, Any]:
    argument = {"uri": editor.uri, "position": document.position(document.cursor), "instruction": WISH}
    return {"command": "infill.generate", "arguments": [argument]}


async def _streamed(editor: InfillEditor, number: int) -> Streamed:
    document = _document(number)
    await editor.show(document)
    stream, began = Stream(editor.client), time.perf_counter()
    _, answer = editor.client.request("workspace/executeCommand", _question(editor, document))
    told, _ = await answer
    first, last = stream.times[0], stream.times[-1]
    tokens = int(told["timings"]["tokensGenerated"])
    rate = (tokens - 1) / (last - first) if last > first else 0.0
    return Streamed((first - began) * 1000, float(told["timings"]["firstTokenMs"]), tokens, rate)


async def _cancelled(editor: InfillEditor, watcher: EngineClient, rounds: int) -> list[float]:
    """Milliseconds from cancellation to the idle engine, each cancelled at another time after the first token."""
    dice, found = random.Random(2), []
    for turn in range(rounds):
        document = _document(1000 + turn)
        await editor.show(document)
        stream = Stream(editor.client)
        request, answer = editor.client.request("workspace/executeCommand", _question(editor, document))
        await stream.begun.wait()
        await asyncio.sleep(dice.uniform(0.0, 0.3))
        if (spent := await figures.cancelled(editor.client, watcher, request)) is not None:
            found.append(spent)
        await asyncio.gather(answer, return_exceptions=True)
    return found
