"""What the bench reads in the accounts of both sides: the server's of its last request, the engine's and llama-server's of all tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infill.ask import Report, Timings
from infill.bench import figures, ours
from infill.bench.document import Document
from infill.bench.ours import InfillEditor
from infill.bench.peer import LlamaVim
from infill.bench.recorder import Recorder
from infill.bench.weights import Weights
from infill.completion.pipeline import Completer
from infill.completion.types import CompletionRequest
from infill.providers.base import Limits
from infill.providers.fake import Fake
from infill.settings import Engine, Settings

SPENT = Timings(tokens_evaluated=3, tokens_kept=90, tokens_generated=12, tokens_drafted=8, tokens_accepted=5, evaluate_ms=4.0, generate_ms=6.0)
REQUEST = CompletionRequest(uri="file:///a.py", path="a.py", language="python", prefix="x = ", suffix="\n")
METRICS = """# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 18205
llamacpp:tokens_predicted_total 1.5e+03
llamacpp:prompt_tokens_seconds 210.5
"""


async def explained(limits: Limits | None = None) -> dict[str, Any]:
    """What a real pipeline tells of a request that a scripted provider answered."""
    quiet = Settings(engine=Engine(prefetch=False, warm=False))
    completer = Completer(Fake(["foo()\n", Report(provider="fake", model="m", timings=SPENT)], limits=limits), quiet)
    await completer.complete(REQUEST)
    told: dict[str, Any] = completer.explain()
    while not told["answer"]["ended"]:  # it goes on behind what is shown
        await asyncio.sleep(0)
        told = completer.explain()
    await completer.aclose()
    return told


class Server:
    """A language server's connection: answers commands from a script, and every request for ghost text with nothing."""

    def __init__(self, command: Callable[[str], Any]) -> None:
        self._command = command

    def request(self, method: str, params: Any) -> tuple[int, asyncio.Future[Any]]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.set_result(({"items": []}, time.perf_counter()))
        return 1, answer

    async def ask(self, method: str, params: Any, seconds: float = 0.0) -> Any:
        return self._command(params["command"])


def editor_of(command: Callable[[str], Any]) -> InfillEditor:
    editor = InfillEditor(Path(), {}, Recorder())
    editor._client = Server(command)  # type: ignore[assignment]
    return editor


async def test_the_tokens_of_a_request_are_those_that_the_server_tells_of() -> None:
    told = await explained()
    cost = ours._cost_of(told, told["answer"])
    assert cost == {
        "source": "model", "text": "", "evaluated": 3, "kept": 90, "generated": 12, "drafted": 8, "agreed": 5, "evaluate_ms": 4.0, "generate_ms": 6.0,
    }  # fmt: skip


async def test_the_wait_for_the_keys_to_end_is_not_overhead() -> None:
    told = await explained(Limits(typical_ms=300.0))
    document = Document("a.py", "python", "x = ")
    asked = await figures.question(editor_of(lambda name: told), document)
    assert asked.waited_ms == told["timings"]["waitedMs"] > 0
    assert asked.model_ms == 10


async def test_what_the_engine_has_not_told_is_not_taken_for_overhead() -> None:
    told = await explained()
    told["answer"] |= {"ended": "run on", "evaluateMs": None, "generateMs": None}
    asked = await figures.question(editor_of(lambda name: told), Document("a.py", "python", "x = "))
    assert asked.source == "model" and asked.model_ms is None


async def test_the_engine_is_counted_when_it_has_come_to_rest() -> None:
    model = {"tokensEvaluated": 7, "tokensGenerated": 2}
    states = [
        {"state": "generating", "background": "", "models": [model]},
        {"state": "ready", "background": "warming", "models": [model]},
        {"state": "ready", "background": "", "models": [{"tokensEvaluated": 4863, "tokensGenerated": 70}]},
    ]
    counted = await editor_of(lambda name: {"engine": states.pop(0)})._counted()
    assert counted == {"tokens_evaluated": 4863, "tokens_generated": 70}


async def test_without_an_engine_nothing_was_evaluated() -> None:
    assert await editor_of(lambda name: {"engine": None})._counted() == {"tokens_evaluated": 0, "tokens_generated": 0}


async def test_all_tokens_of_the_peer_are_those_that_it_counts_itself() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        body = METRICS.encode() if b" /metrics " in asked else b""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    peer = LlamaVim(Path("llama-server"), Weights(name="x", path=Path("x.gguf")), Path(), Recorder(), None, None, port=port)
    assert await peer._counted() == {"tokens_evaluated": 18205, "tokens_generated": 1500}
    listening.close()
    await listening.wait_closed()
    assert await peer._counted() == {}


@pytest.mark.parametrize(("one_token", "target", "told"), [(0.42, 50, "one token takes 0.42 ms"), (71.3, 71.3, "one token takes 71.3 ms")])
def test_cancelling_may_take_as_long_as_a_token(one_token: float, target: float, told: str) -> None:
    row = figures.cancel_row("0.5b", [1.0, 2.0, 3.0], [40.0], one_token)
    assert row.target == target
    assert "while evaluating 3 times, median 2.0 ms, 95th percentile 2.9 ms; while generating 1 times" in row.note
    assert told in row.note


def test_where_every_answer_came_first_there_is_no_figure_of_cancelling() -> None:
    assert not figures.cancel_row("0.5b", [], [], 0.4).met
