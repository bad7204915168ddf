"""The engine's event loop with scripted models: turns, switches, hanging, leaving, seen through its clients."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from scripted import World, serving

from infill.ask import Stop
from infill.engine import server as engine_server
from infill.engine import worker as engine_worker
from infill.engine.client import EngineClient
from infill.engine.protocol import Changed, Complete, Done, Generate, Text, Warm
from infill.engine.server import Server
from infill.errors import BadModelFile, DoesNotFit, InfillError, ProviderError, ProviderUnavailable, UnknownModel
from infill.settings import Engine

A, B, C = "local:a", "local:b", "local:c"


@pytest.fixture
async def engine(home) -> AsyncIterator[tuple[World, Server]]:
    async with serving() as served:
        yield served


@pytest.fixture
def world(engine: tuple[World, Server]) -> World:
    return engine[0]


def ask(slot: str = "main.py", model: str = A, tokens: int = 2, deadline_ms: int = 10_000, **more) -> Complete:
    return Complete(id=0, model=model, slot=slot, prefix="", suffix="", stop=Stop(max_tokens=tokens, deadline_ms=deadline_ms), **more)


async def answer(client: EngineClient, question: Complete | Generate) -> tuple[str, Done]:
    text = ""
    stream = client.generate(question) if isinstance(question, Generate) else client.complete(question)
    async with contextlib.aclosing(stream) as frames:
        async for frame in frames:
            if isinstance(frame, Done):
                return text, frame
            text += frame.text
    raise AssertionError("an answer without an end")


def begin(client: EngineClient, question: Complete | Generate) -> asyncio.Task[tuple[str, Done]]:
    return asyncio.ensure_future(answer(client, question))


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


# ---- turns


async def test_what_is_asked_by_key_overtakes_and_the_other_goes_on_afterwards(world):
    client, other = await world.client(), await world.client()
    gate = world.gate("slow.py")
    slow = begin(client, ask("slow.py", tokens=3))
    await world.logged("step slow.py")
    urgent = begin(other, ask("urgent.py", priority="invoked"))
    await world.until(lambda: len(server_jobs(world)) == 2)
    gate.set()
    assert (await urgent)[0] == "local:a0\nlocal:a1\n"
    assert (await slow)[0] == "local:a0\nlocal:a1\nlocal:a2\n"
    assert world.log[2:] == ["step slow.py", "begin local:a urgent.py", "step urgent.py", "step urgent.py", "step slow.py", "step slow.py"]


def server_jobs(world: World) -> list[object]:
    return world.server._worker.jobs()


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
    assert "not loaded" in done.notes[0]
    assert world.log == []


async def test_after_its_first_line_a_generation_lets_others_pass(world):
    client = await world.client()
    stream = client.complete(ask("long.py", tokens=50, yield_after_line=True))
    gate = world.gate("long.py")
    gate.set()
    assert isinstance(await anext(stream), Text)
    gate.clear()
    status = await client.status()
    assert status.state == "ready"
    assert (await answer(client, ask("other.py")))[0]
    gate.set()
    assert isinstance([frame async for frame in stream][-1], Done)


async def test_a_stream_of_generated_code_leaves_the_gaps_to_completions(world):
    client = await world.client()
    gate = world.gate("generate")
    code = begin(client, Generate(id=0, model=A, slot="generate", messages=(), stop=Stop(max_tokens=20)))
    await world.logged("step generate")
    completion = begin(client, ask())
    await world.until(lambda: len(server_jobs(world)) == 2)
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


async def test_refreshing_can_be_switched_off(world, monkeypatch):
    monkeypatch.setattr(engine_worker, "QUIET", 0.0)
    world.idle[A] = (world.log.append("refresh") for _ in range(3))
    client = await world.client()
    client.configure(Engine(refresh=False))
    await answer(client, ask())
    await answer(client, ask())
    assert (await client.status()).background == ""
    assert "refresh" not in world.log


# ---- hanging


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


# ---- switching


async def test_until_the_new_model_is_ready_the_old_one_answers(world):
    told: list[Changed] = []
    client = await world.client(told=told)
    await answer(client, ask())
    world.loading[B] = world.gate("loading")
    switching = asyncio.ensure_future(client.load(B))
    await world.logged("load local:b")
    assert (await answer(client, ask()))[0].startswith(A)
    await world.until(lambda: any(change.state == "loading" and change.model == B and change.progress == 0.5 for change in told))
    assert not switching.done()
    world.loading[B].set()
    await switching
    assert "step trial" in world.log, "it has produced a token"
    assert (await answer(client, ask(model=B)))[0].startswith(B)
    assert [model.model for model in (await client.status()).models] == [A, B]


async def test_a_new_model_that_fails_leaves_everything_as_it_was(world):
    client = await world.client()
    await answer(client, ask())
    world.broken[B] = BadModelFile("B is damaged.")
    with pytest.raises(BadModelFile, match=r"B is damaged\."):
        await client.load(B)
    assert (await answer(client, ask()))[0].startswith(A)
    assert world.log.count("load local:a") == 1


async def test_a_new_model_that_loads_but_cannot_compute_is_not_taken(world):
    client = await world.client()
    await answer(client, ask())
    world.trouble["trial"] = InfillError("Its first token did not come.")
    with pytest.raises(InfillError, match="first token did not come"):
        await client.load(B)
    assert world.loaded[-1].closed
    assert [model.model for model in (await client.status()).models] == [A]


async def test_where_both_do_not_fit_the_old_one_goes_first(world):
    world.room = 1
    client = await world.client()
    await answer(client, ask())
    await client.load(B)
    assert world.log.index("close local:a") < world.log.index("load local:b")
    assert [model.model for model in (await client.status()).models] == [B]


async def test_where_both_do_not_fit_and_the_new_one_fails_the_old_one_comes_back(world):
    world.room = 1
    client = await world.client()
    await answer(client, ask())
    world.broken[B] = BadModelFile("B is damaged.")
    with pytest.raises(BadModelFile):
        await client.load(B)
    assert world.log[-3:] == ["close local:a", "load local:b", "load local:a"]
    assert (await answer(client, ask()))[0].startswith(A)


async def test_a_request_under_way_is_finished_by_the_old_model_before_it_goes(world):
    world.room = 1
    client = await world.client()
    gate = world.gate("main.py")
    under_way = begin(client, ask(tokens=3))
    await world.logged("step main.py")
    switching = asyncio.ensure_future(client.load(B))
    await asyncio.sleep(0)
    gate.set()
    text, done = await under_way
    assert (text.count(A), done.model) == (3, A)
    await switching


async def test_what_was_asked_of_the_old_model_while_it_went_is_answered_by_the_new_one_alone(world):
    world.room = 1
    client = await world.client()
    await answer(client, ask())
    world.loading[B] = world.gate("loading")
    switching = asyncio.ensure_future(client.load(B))
    await world.logged("load local:b")
    late = begin(client, ask())
    await world.until(lambda: server_jobs(world))
    world.loading[B].set()
    await switching
    text, done = await late
    assert done.model == B
    assert A not in text
    assert (await answer(client, ask()))[1].model == B, "a request that was on its way does not bring the old one back"


async def test_two_windows_that_choose_differently_both_have_their_model_if_it_fits(world):
    one, two = await world.client(), await world.client()
    for _ in range(2):
        assert (await answer(one, ask(model=A)))[1].model == A
        assert (await answer(two, ask(model=B)))[1].model == B
    assert world.log.count("load local:a") == world.log.count("load local:b") == 1


async def test_where_it_does_not_fit_the_last_explicit_choice_wins_and_the_other_is_told(world):
    world.room = 1
    told: list[Changed] = []
    one, two = await world.client(told=told), await world.client()
    await answer(one, ask(model=A))
    with pytest.raises(DoesNotFit, match="beside A, which another window uses"):
        await answer(two, ask(model=B))
    await two.load(B)
    await world.until(lambda: any("another window chose local:b" in change.message for change in told))
    with pytest.raises(DoesNotFit, match="Choose it in this window"):
        await answer(one, ask(model=A))
    await one.load(A)
    assert (await answer(one, ask(model=A)))[1].model == A


async def test_a_model_that_does_not_fit_after_all_is_loaded_smaller_and_that_is_said(world):
    told: list[Changed] = []
    world.largest_context = 2048
    client = await world.client(told=told)
    assert (await answer(client, ask()))[0]
    assert world.log.count("load local:a") == 3
    assert [change.message for change in told if change.message] == [
        "The context was shortened to 4096 tokens.",
        "The context was shortened to 2048 tokens.",
    ]


async def test_a_model_that_nobody_else_uses_makes_way_without_a_word(world):
    world.room = 1
    client = await world.client()
    assert (await answer(client, ask(model=A)))[1].model == A
    assert (await answer(client, ask(model=B)))[1].model == B
    assert (await answer(client, Generate(id=0, model=A, slot="g", messages=(), stop=Stop(max_tokens=1))))[1].model == A


async def test_other_ways_of_loading_take_effect_with_the_next_request(world):
    client = await world.client()
    await answer(client, ask())
    client.configure(Engine(threads=3))
    await answer(client, ask())
    assert world.log.count("load local:a") == 2
    client.configure(Engine(threads=3, warm=False))
    await answer(client, ask())
    assert world.log.count("load local:a") == 2


async def test_unloading_gives_the_memory_back_and_ends_what_was_asked(world):
    client = await world.client()
    world.gate("main.py")
    under_way = begin(client, ask())
    await world.logged("step main.py")
    await client.unload(A)
    assert (await under_way)[1].notes == ("its model was unloaded",)
    assert world.loaded[0].closed
    assert (await client.status()).state == "idle"


# ---- coming and going


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
    assert "because it was time" in client.ended.message
    assert world.loaded[0].closed
