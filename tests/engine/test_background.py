"""How a language server reports the engine's background work and switches it off: the real server and provider, scripted models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from scripted import A, World, answer, ask, begin, serving

from infill.ask import Instruction, Prompt, Stop
from infill.engine import launch
from infill.engine.protocol import Complete, Done, Generate, Text, Warm
from infill.lsp import server as lsp_server
from infill.lsp.commands import Nothing
from infill.providers.local import LocalProvider
from infill.settings import Engine, Settings


@pytest.fixture
async def world(home) -> AsyncIterator[World]:
    async with serving() as (world, _):
        yield world


async def explained() -> str:
    """The background part of `infill.explain`, in a new editor."""
    server = lsp_server.build()
    told = await server._explain(Nothing())
    await server._end()
    assert isinstance(told["background"], str)
    return told["background"]


def prompt(slot: str = "main.py") -> Prompt:
    return Prompt(slot=slot, prefix="x = ", suffix="\n", stop=Stop(max_tokens=1))


async def provider(engine: Engine) -> LocalProvider:
    """A provider that has sent a request, so that its model is in memory."""
    local = LocalProvider(Settings(engine=engine), lambda: A)
    assert [event async for event in local.complete(prompt())]
    return local


# ---- infill.explain


async def test_infill_explain_says_what_the_engine_does_in_the_background(world: World) -> None:
    client = await world.client()
    await client.load(A)
    assert await explained() == ""
    for slot, said in (("ahead.py", "drafting ahead"), ("warm.py", "warming")):
        gate = world.gate(slot)
        work = (
            client.warm(Warm(id=0, model=A, slot=slot, prefix="", suffix=""))
            if said == "warming"
            else answer(client, ask(slot, priority="background"))
        )
        under_way = asyncio.ensure_future(work)
        await world.logged(f"step {slot}")
        assert await explained() == said
        gate.set()
        await under_way
    assert await explained() == ""


async def test_infill_explain_starts_no_engine(home) -> None:
    assert await explained() == ""
    assert launch.running() is None


async def test_infill_explain_is_answered_at_once_while_a_model_computes_and_by_an_engine_that_says_nothing(world: World, monkeypatch) -> None:
    monkeypatch.setattr("infill.engine.status.PATIENCE", 60.0)
    client = await world.client()
    await client.load(A)
    gate = world.gate("ahead.py")
    under_way = begin(client, ask("ahead.py", priority="background"))
    await world.logged("step ahead.py")
    assert await asyncio.wait_for(explained(), 10) == "drafting ahead"
    monkeypatch.setattr(world.server._reporter, "status", lambda *values: asyncio.Event().wait())
    assert await asyncio.wait_for(explained(), 10) == ""
    gate.set()
    await under_way


# ---- switches


async def test_a_document_is_warmed_ahead_unless_that_is_switched_off(world: World) -> None:
    on = await provider(Engine())
    await on.warm(prompt("warmed.py"))
    off = await provider(Engine(warm=False))
    await off.warm(prompt("not warmed.py"))
    on.configure(Settings(engine=Engine(warm=False)))
    await on.warm(prompt("no more.py"))
    await on.aclose()
    await off.aclose()
    assert [entry for entry in world.log if entry.startswith("begin")] == [f"begin {A} {slot}" for slot in ("main.py", "warmed.py", "main.py")]


@pytest.mark.parametrize("speculate", [True, False])
async def test_whether_to_draft_from_the_document_is_the_user_s_wish(world: World, monkeypatch, speculate: bool) -> None:
    asked: list[Complete | Generate] = []

    def answered(model: object, ask: Complete | Generate) -> Iterator[Text | Done | None]:
        asked.append(ask)
        yield Done(id=ask.id)

    monkeypatch.setattr("scripted.Scripted.complete", answered)
    monkeypatch.setattr("scripted.Scripted.generate", answered)
    local = await provider(Engine(speculate=speculate))
    assert [event async for event in local.generate(Instruction(slot="g", messages=()))]
    await local.aclose()
    assert [(type(ask), ask.speculate) for ask in asked] == [(Complete, speculate), (Generate, speculate)]
