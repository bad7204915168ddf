"""A private engine for the bench, used without an editor, to measure the engine alone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from infill.ask import Sampling, Stop
from infill.bench.ours import stop_engine
from infill.bench.weights import Weights, home
from infill.engine import launch
from infill.engine.client import EngineClient
from infill.engine.protocol import Complete, Done, Text
from infill.errors import InfillError
from infill.settings import Engine


class Asked(msgspec.Struct, frozen=True):
    """The result of one request."""

    text: str
    done: Done
    milliseconds: float
    """Latency in the client, including transport."""


class Driven(msgspec.Struct, frozen=True):
    """A running engine with one loaded model."""

    client: EngineClient
    model: str
    load_ms: float
    folder: Path

    async def ask(
        self,
        prefix: str,
        suffix: str = "",
        *,
        slot: str = "bench",
        tokens: int = 16,
        single_line: bool = False,
        ignore_end: bool = True,
        speculate: bool = False,
    ) -> Asked:
        """Fill in the middle, greedily."""
        stop = Stop(max_tokens=tokens, single_line=single_line, ignore_end=ignore_end, deadline_ms=120_000)
        began, text = time.perf_counter(), ""
        wanted = Complete(
            id=0, model=self.model, slot=slot, prefix=prefix, suffix=suffix, sampling=Sampling(), stop=stop, priority="invoked", speculate=speculate
        )
        async for frame in self.client.complete(wanted):
            if isinstance(frame, Text):
                text += frame.text
            elif isinstance(frame, Done):
                return Asked(text, frame, (time.perf_counter() - began) * 1000)
        raise InfillError("The engine gave no answer.")


@asynccontextmanager
async def engine(measured: Weights, options: Engine) -> AsyncIterator[Driven]:
    """Start an engine and load the model; both are stopped at the end."""
    with home(measured) as folder:
        client = await launch.connect_or_start("infill bench")
        try:
            client.configure(options)
            began = time.perf_counter()
            await client.load(measured.model_id)
            yield Driven(client, measured.model_id, (time.perf_counter() - began) * 1000, folder)
        finally:
            await client.aclose()
            await stop_engine()
