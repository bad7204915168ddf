"""The engine's event loop with scripted models: scheduling, switches, hangs, disconnects, as its clients see them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from scripted import A, B, Turnstile, World, answer, ask, begin, serving

from infill.ask import Stop
from infill.engine import server as engine_server
from infill.engine import transport
from infill.engine import worker as engine_worker
from infill.engine.client import EngineClient
from infill.engine.protocol import Changed, Done, Generate, Text, Warm
from infill.engine.server import Server
from infill.errors import BadModelFile, DoesNotFit, InfillError, ProviderError, ProviderUnavailable, UnknownModel
from infill.settings import Engine


@pytest.fixture
async def engine(home) -> AsyncIterator[tuple[World, Server]]:
    async with serving() as served:
        yield served


@pytest.fixture
def world(engine: tuple[World, Server]) -> World:
    return engine[0]


# ---- answers


async def test_a_model_is_loaded_once_for_all_who_wait_for_it(world):
    one, two = await world.client(), await world.client()
    answers = await asyncio.gather(answer(one, ask("1")), answer(one, ask("2")), answer(two, ask("3")))
    assert [text for text, _ in answers] == ["local:a0\nlocal:a1\n"] * 3
    assert world.log.count("load local:a") == 1
    assert answers[0][1].limits == {"prefix_tokens": 100.0}


async def test_a_model_that_cannot_be_loaded_fails_those_who_ask_and_nothing_else(world):
    world.broken[A] = BadModelFile("A is damaged.", "Download it again.")
    client = await world.client()
    ends = await asyncio.gather(answer(client, ask("1")), answer(client, ask("2")), return_exceptions=True)
    assert [str(end) for end in ends] == ["A is damaged. Download it again."] * 2
    assert all(isinstance(end, BadModelFile) for end in ends)
    assert (await answer(client, ask(model=B)))[0]


async def test_only_those_who_use_a_model_are_told_that_it_cannot_be_loaded(world):
    told: list[Changed] = []
    world.broken[A] = BadModelFile("A is damaged.")
    other, client = await world.client(told=told), await world.client()
    await answer(other, ask(model=B))
    with pytest.raises(BadModelFile):
        await answer(client, ask(model=A))
    await other.status()
    assert not any(change.state == "problem" for change in told)
    assert any((change.state, change.model) == ("ready", B) for change in told)


async def test_a_model_that_has_just_failed_is_not_tried_at_every_key_but_when_it_is_chosen(world):
    world.broken[A] = BadModelFile("A is damaged.")
    client = await world.client()
    for _ in range(3):
        with pytest.raises(BadModelFile):
            await answer(client, ask())
    assert world.log.count("load local:a") == 1
    del world.broken[A]
    await client.load(A)
    assert (await answer(client, ask()))[0]


async def test_an_unknown_model_is_named(world):
    client = await world.client()
    with pytest.raises(UnknownModel, match="'ollama:x'"):
        await answer(client, ask(model="ollama:x"))


async def test_what_goes_wrong_in_one_request_ends_that_request_alone(world):
    world.trouble["bad.py"] = ZeroDivisionError("secret text of the user")
    client = await world.client()
    with pytest.raises(ProviderError, match=r"unexpected error \(ZeroDivisionError\)"):
        await answer(client, ask("bad.py"))
    world.trouble["bad.py"] = MemoryError()
    with pytest.raises(DoesNotFit, match="not enough memory"):
        await answer(client, ask("bad.py"))
    assert (await answer(client, ask()))[0]


async def test_the_cache_is_put_in_order_by_the_thread_that_computes_and_by_no_other(world):
    client = await world.client()
    await answer(client, ask("whole.py"))
    world.trouble["bad.py"] = ZeroDivisionError()
    with pytest.raises(ProviderError):
        await answer(client, ask("bad.py"))
    stream = client.complete(ask("stopped.py", tokens=50))
    await anext(stream)
    await stream.aclose()
    await client.status()
    await world.until(lambda: len(world.tidied) == 3)
    assert world.tidied == [("whole.py", "inference"), ("bad.py", "inference"), ("stopped.py", "inference")]


# ---- scheduling


async def test_what_is_asked_by_key_overtakes_and_the_other_goes_on_afterwards(world):
    client, other = await world.client(), await world.client()
    gate = world.gate("slow.py")
    slow = begin(client, ask("slow.py", tokens=3))
    await world.logged("step slow.py")
    urgent = begin(other, ask("urgent.py", priority="invoked"))
    await world.until(lambda: len(world.jobs()) == 2)
    gate.set()
    assert (await urgent)[0] == "local:a0\nlocal:a1\n"
    assert (await slow)[0] == "local:a0\nlocal:a1\nlocal:a2\n"
    assert world.log[2:] == ["step slow.py", "begin local:a urgent.py", "step urgent.py", "step urgent.py", "step slow.py", "step slow.py"]


async def test_warming_stops_at_once_when_somebody_asks_and_goes_on_afterwards(world):
    client = await world.client()
    await answer(client, ask())
    world.gate("warm.py")
    warming = asyncio.ensure_future(client.warm(Warm(id=0, model=A, slot="warm.py", prefix="", suffix="")))
    await world.logged("step warm.py")
    status = await client.status()
    assert (status.background, status.state) == ("warming", "ready")
    assert (await answer(client, ask("now.py")))[0]
    assert "aborted warm.py" in world.log, "it was not waited for"
    world.gates["warm.py"].set()
    assert isinstance(await warming, Done)


async def test_warming_loads_no_model(world):
    client = await world.client()
    done = await client.warm(Warm(id=0, model=A, slot="main.py", prefix="", suffix=""))
    assert "first completion request" in done.notes[0]
    assert world.log == []


async def test_after_its_first_line_a_generation_lets_others_pass(world):
    client = await world.client()
    stream = client.complete(ask("long.py", tokens=50, yield_after_line=True))
    gate = world.gates["long.py"] = Turnstile()
    gate.set()
    assert isinstance(await anext(stream), Text)
    status = await client.status()
    assert (status.background, status.state) == ("going on after the first line", "ready")
    assert (await answer(client, ask("other.py")))[0]
    del world.gates["long.py"]
    gate.set()
    assert isinstance([frame async for frame in stream][-1], Done)


async def test_what_is_drafted_ahead_is_seen_and_lets_others_pass(world):
    client = await world.client()
    await answer(client, ask())
    gate = world.gate("ahead.py")
    ahead = begin(client, ask("ahead.py", priority="background"))
    await world.logged("step ahead.py")
    status = await client.status()
    assert (status.background, status.state) == ("drafting ahead", "ready")
    assert (await answer(client, ask("other.py")))[0]
    assert "aborted ahead.py" in world.log, "it was not waited for"
    gate.set()
    assert (await ahead)[0]


async def test_what_somebody_waits_for_is_no_background(world):
    client = await world.client()
    gate = world.gate("main.py")
    waiting = begin(client, ask())
    await world.logged("step main.py")
    status = await client.status()
    assert (status.background, status.state, status.waiting) == ("", "generating", 1)
    gate.set()
    assert (await waiting)[0]


async def test_a_stream_of_generated_code_leaves_the_gaps_to_completions(world):
    client = await world.client()
    gate = world.gate("generate")
    code = begin(client, Generate(id=0, model=A, slot="generate", messages=(), stop=Stop(max_tokens=20)))
    await world.logged("step generate")
    completion = begin(client, ask())
    await world.until(lambda: len(world.jobs()) == 2)
    gate.set()
    await completion
    assert (await code)[0].count("\n") == 20
    assert world.log[3:6] == ["begin local:a main.py", "step main.py", "step main.py"]


async def test_a_cancelled_request_is_aborted_within_its_step(world):
    client = await world.client()
    world.gate("main.py")
    stream = client.complete(ask())
    reading = asyncio.ensure_future(anext(stream))
    await world.logged("step main.py")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await world.logged("closed main.py")
    assert "aborted main.py" in world.log


async def test_a_request_that_waits_behind_others_ends_at_its_deadline(world):
    client = await world.client()
    world.gate("slow.py")
    slow = begin(client, ask("slow.py", priority="invoked"))
    await world.logged("step slow.py")
    _, done = await answer(client, ask("other.py", deadline_ms=50))
    assert done.finishes[0].why == "deadline"
    world.gates["slow.py"].set()
    assert (await slow)[0]


async def test_a_request_whose_model_takes_too_long_to_load_is_told_so(world):
    world.loading[A] = world.gate("never")
    client = await world.client()
    with pytest.raises(ProviderUnavailable, match="still being loaded"):
        await answer(client, ask(deadline_ms=50))
    assert (await client.status()).loading == A
    world.loading[A].set()
    assert (await answer(client, ask()))[0]


async def test_slots_are_refreshed_when_it_has_been_quiet_and_never_while_somebody_asks(world, monkeypatch):
    monkeypatch.setattr(engine_worker, "QUIET", 0.02)
    steps = iter(range(1000))
    world.idle[A] = (world.log.append(f"refresh {next(steps)}") for _ in range(3))
    client = await world.client()
    await answer(client, ask())
    await world.logged("refresh 2")
    assert world.log.index("step main.py") < world.log.index("refresh 0")


@pytest.fixture
async def refreshing(world, monkeypatch) -> EngineClient:
    """The only client of an engine that evaluates slots again without end."""
    monkeypatch.setattr(engine_worker, "QUIET", 0.0)
    for model in (A, B):
        world.idle[model] = world.refresh_for_ever(model)
    client = await world.client()
    await asyncio.gather(client.load(A), client.load(B))
    await world.logged("refresh")
    return client


async def test_refreshing_ends_with_its_step_when_the_last_editor_leaves_and_begins_with_the_next_one(refreshing, engine):
    world, server = engine
    assert (await refreshing.status()).background == "refreshing"
    await refreshing.aclose()
    await world.logged("refresh closed")
    assert "refresh aborted" in world.log, "its step was not waited for"
    await asyncio.gather(*(server._worker.call(lambda: None) for _ in range(20)))
    assert world.log[-1] == "refresh closed"
    assert world.idle, "nothing else was begun"
    await world.client()
    await world.until(lambda: world.log[-1] == "refresh")


async def test_refreshing_ends_with_its_step_when_it_is_switched_off_and_goes_on_when_it_is_switched_on(refreshing, world):
    refreshing.configure(Engine(refresh=False))
    await world.logged("refresh closed")
    assert "refresh aborted" in world.log, "its step was not waited for"
    for _ in range(20):
        assert (await refreshing.status()).background == ""
    assert world.log[-1] == "refresh closed"
    refreshing.configure(Engine(refresh=True))
    await world.until(lambda: world.log[-1] == "refresh")


async def test_refreshing_goes_on_while_one_editor_is_left(refreshing, world):
    await (await world.client()).aclose()
    await world.until(lambda: len(world.server._clients) == 1)
    assert (await refreshing.status()).background == "refreshing"
    assert "refresh closed" not in world.log


async def test_refreshing_can_be_switched_off(world, monkeypatch):
    monkeypatch.setattr(engine_worker, "QUIET", 0.0)
    world.idle[A] = (world.log.append("refresh") for _ in range(3))
    client = await world.client()
    client.configure(Engine(refresh=False))
    await answer(client, ask())
    await answer(client, ask())
    assert (await client.status()).background == ""
    assert "refresh" not in world.log


# ---- hangs


async def test_a_model_that_hangs_in_a_step_takes_the_process_down_rather_than_the_users_time(world, monkeypatch):
    monkeypatch.setattr(engine_worker, "HUNG", 0.05)
    world.hanging.add("main.py")
    world.gate("main.py")
    client = await world.client()
    hanging = begin(client, ask(deadline_ms=50))
    await asyncio.wait_for(world.hung.wait(), 5)
    world.gates["main.py"].set()
    assert (await hanging)[1].finishes[0].why == "deadline"


async def test_a_step_that_takes_far_too_long_is_given_up_when_others_run_out_of_time(world, monkeypatch):
    monkeypatch.setattr(engine_worker, "STALLED", 0.01)
    world.gate("slow.py")
    client = await world.client()
    slow = begin(client, ask("slow.py", priority="invoked"))
    await world.logged("step slow.py")
    await answer(client, ask("other.py", deadline_ms=50))
    with pytest.raises(InfillError, match="computed for too long"):
        await slow


# ---- connecting and disconnecting


async def test_when_the_editor_closes_its_work_stops_and_its_slots_go_after_a_while(world, monkeypatch):
    monkeypatch.setattr(engine_server, "GRACE", 0.05)
    gone, stays = await world.client(), await world.client()
    await answer(stays, ask("both.py"))
    await answer(gone, ask("both.py"))
    world.gate("mine.py")
    stream = gone.complete(ask("mine.py"))
    reading = asyncio.ensure_future(anext(stream))
    await world.logged("step mine.py")
    await gone.aclose()
    await world.logged("closed mine.py")
    with pytest.raises(ProviderUnavailable):
        await reading
    await world.until(lambda: world.loaded[0].forgotten)
    assert world.loaded[0].forgotten == ["mine.py"]


async def test_an_editor_that_comes_back_in_time_finds_its_slots(world):
    before = await world.client()
    await answer(before, ask())
    await before.aclose()
    after = await world.client()
    await answer(after, ask())
    world.server._release({"main.py", "other.py"})
    await answer(after, ask())
    assert world.loaded[0].forgotten == ["other.py"]


async def test_a_closed_document_gives_its_slot_up(world):
    client = await world.client()
    await answer(client, ask())
    client.forget("main.py")
    await client.status()
    assert world.loaded[0].forgotten == ["main.py"]


async def test_loading_stops_when_nobody_is_left_to_wait_for_it(world):
    world.loading[A] = world.gate("never")
    client = await world.client()
    stream = client.complete(ask())
    reading = asyncio.ensure_future(anext(stream))
    await world.logged("load local:a")
    await client.aclose()
    with pytest.raises(ProviderUnavailable):
        await reading
    other = await world.client()
    status = await other.status()
    await world.until(lambda: not world.server._residents.loading)
    assert status.models == ()


async def test_everybody_is_told_what_state_the_engine_is_in(world):
    told: list[Changed] = []
    watcher = await world.client(told=told)
    await answer(await world.client(), ask())
    await world.until(lambda: told[-1].state == "ready")
    states = [change.state for change in told]
    assert states[0] == "idle"
    assert states.index("loading") < len(states) - states[::-1].index("generating")
    assert (await watcher.status()).state == "ready"


async def test_what_is_loaded_is_told_to_those_who_come_later(world):
    await answer(await world.client(), ask())
    told: list[Changed] = []
    await (await world.client(told=told)).status()
    assert told[0].state == "ready"


async def test_leaving_ends_everything_with_a_farewell(engine):
    world, server = engine
    client = await world.client()
    world.gate("main.py")
    under_way = begin(client, ask())
    await world.logged("step main.py")
    server.leave("it was time")
    assert (await under_way)[1].finishes[0].why == "stopped"
    await world.until(lambda: client.ended is not None)
    assert "exited: it was time" in client.ended.message
    assert world.loaded[0].closed


async def test_what_is_asked_while_the_engine_leaves_was_not_heard_and_is_asked_again_elsewhere(engine):
    world, server = engine
    client = await world.client()
    await answer(client, ask())
    server.leave("it was time")
    with pytest.raises(ProviderUnavailable, match="exited: it was time"):
        await answer(client, ask())
    assert world.log.count("load local:a") == 1


async def test_an_engine_that_nobody_can_find_any_more_leaves(engine):
    world, server = engine
    client = await world.client()
    transport.place().socket.unlink()
    assert (await answer(client, ask()))[0], "whoever is connected is still served"
    await client.aclose()
    await world.until(server._reason.done)
    assert "removed" in server._reason.result()
