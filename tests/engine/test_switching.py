"""Scripted models in memory: several at once, switched without a gap, loaded again, unloaded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from scripted import A, B, Turnstile, World, answer, ask, begin, serving

from infill.ask import Stop
from infill.engine.protocol import Changed, Generate
from infill.errors import BadModelFile, DoesNotFit, InfillError, ProviderUnavailable
from infill.settings import Engine


@pytest.fixture
async def world(home) -> AsyncIterator[World]:
    async with serving() as (made, _):
        yield made


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
    await world.until(world.jobs)
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


async def test_loading_stops_when_its_model_is_to_be_unloaded(world):
    world.loading[A] = world.gate("never")
    client = await world.client()
    under_way = begin(client, ask())
    await world.logged("load local:a")
    await client.unload(A)
    with pytest.raises(ProviderUnavailable, match="was stopped"):
        await under_way
    assert (await client.status()).models == ()


async def test_evaluated_documents_are_kept_on_disk_only_where_that_is_wished(world, home):
    client = await world.client()
    await answer(client, ask())
    await client.unload(A)
    assert not [entry for entry in world.log if entry.startswith(("save", "restore"))]
    client.configure(Engine(save_slots=True))
    await answer(client, ask())
    await client.unload(A)
    assert world.log[-2:] == ["save local:a", "close local:a"]
    assert "restore local:a" in world.log
    kept = home / "state" / "slots"
    kept.mkdir(parents=True)
    client.configure(Engine(save_slots=False))
    await client.status()
    assert not kept.exists(), "it holds what the code says"


async def test_evaluated_documents_are_kept_when_an_unused_model_goes_while_another_works(world):
    client = await world.client()
    client.configure(Engine(save_slots=True))
    await answer(client, ask())
    gate = world.gates["busy.py"] = Turnstile()
    stream = client.complete(ask("busy.py", B, tokens=10_000))
    client.configure(Engine(save_slots=True, idle_minutes=0.001))
    async with contextlib.aclosing(stream):
        gate.set()
        await anext(stream)
        await world.until(lambda: gate.set() or "close local:a" in world.log)
        assert [entry for entry in world.log if entry.startswith(("save", "close"))] == ["save local:a", "close local:a"]


@pytest.mark.parametrize(("wished", "saved"), [(True, ["save local:a"]), (False, [])])
async def test_evaluated_documents_are_kept_when_the_engine_leaves_because_nobody_asks(world, wished, saved):
    client = await world.client()
    client.configure(Engine(save_slots=wished, idle_minutes=0.001))
    await answer(client, ask())
    await world.until(lambda: client.ended is not None)
    assert "no request arrived" in client.ended.message
    assert world.log[-1 - len(saved) :] == [*saved, "close local:a"]
    assert [entry for entry in world.log if entry.startswith("save")] == saved


async def test_the_wished_latency_reaches_the_models(world):
    client = await world.client()
    client.configure(Engine(), 150)
    await answer(client, ask())
    assert world.loaded[0].target_ms == 150
    client.configure(Engine(), 900)
    await client.status()
    assert world.loaded[0].target_ms == 900
