"""`infill bench engine`: what the engine adds to llama.cpp's own time, and how soon it is idle after a cancel. Measured through its socket."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import msgspec

from infill.ask import Stop
from infill.bench import metrics, traces
from infill.bench.drive import Driven, engine
from infill.bench.weights import Weights
from infill.engine.protocol import Complete, Text
from infill.settings import Engine

TOKENS = 16
LONG = 512
"""Tokens of what is cancelled: more than it gets to generate."""


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds."""

    name: str
    overhead_p50: float
    """Of a completion of 16 tokens: the round trip less llama.cpp's own evaluation and generation."""
    overhead_p95: float
    token_ms: float
    """One token of this model takes this long here."""
    cancel_generating_p50: float
    """From the cancel to an idle engine, while it generated."""
    cancel_generating_max: float
    cancel_evaluating_p50: float
    """The same, while it evaluated a prompt."""
    cancel_evaluating_max: float


async def measure(measured: Weights, options: Engine, rounds: int, say: Callable[[str], None]) -> Manners:
    """Measure a file in an engine of its own."""
    text = traces.default().text
    async with engine(measured, options) as driven:
        say(f"{measured.name}: {rounds} rounds ...")
        await driven.ask(text[:400], tokens=TOKENS)
        overheads, tokens = [], []
        for number in range(rounds):
            asked = await driven.ask(text[: 400 + number], tokens=TOKENS)
            timings = asked.done.timings
            overheads.append(asked.milliseconds - timings.evaluate_ms - timings.generate_ms)
            tokens.append(timings.generate_ms / max(1, timings.tokens_generated - 1))
        generating = [await _cancel(driven, text[:400], started=True) for _ in range(rounds)]
        evaluating = [await _cancel(driven, f"# {number}\n{text}", started=False) for number in range(rounds)]
    return Manners(
        name=measured.name,
        overhead_p50=metrics.percentile(overheads, 0.5),
        overhead_p95=metrics.percentile(overheads, 0.95),
        token_ms=metrics.percentile(tokens, 0.5),
        cancel_generating_p50=metrics.percentile(generating, 0.5),
        cancel_generating_max=max(generating),
        cancel_evaluating_p50=metrics.percentile(evaluating, 0.5),
        cancel_evaluating_max=max(evaluating),
    )


async def _cancel(driven: Driven, prefix: str, *, started: bool) -> float:
    """Ask, cancel once it generates (or evaluates), and take the time until the engine has nothing to do."""
    wanted = Complete(
        id=0, model=driven.model, slot="cancelled", prefix=prefix, suffix="", stop=Stop(max_tokens=LONG, ignore_end=True, deadline_ms=120_000)
    )
    stream = driven.client.complete(wanted)
    reading = asyncio.ensure_future(_first_text(stream)) if started else asyncio.ensure_future(anext(stream))
    if started:
        await reading
    else:
        while (await driven.client.status()).state != "generating":
            pass
    began = time.perf_counter()
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    await stream.aclose()
    # the engine asks a model how it is between two steps: its answer means that the step has ended
    while (await driven.client.status()).state == "generating":
        pass
    return (time.perf_counter() - began) * 1000


async def _first_text(stream: object) -> None:
    async for frame in stream:  # type: ignore[attr-defined]
        if isinstance(frame, Text):
            return
