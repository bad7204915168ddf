"""What is done before or after somebody waits: warming, going on, drafting ahead; when it begins, when it ends, and how it is switched off."""

from __future__ import annotations

import asyncio

import pytest
from conftest_completion import QUIET, Make, Time, at, settle, texts

from infill.providers.base import Limits
from infill.providers.fake import Fake
from infill.settings import Engine, Settings

SLOW = Limits(typical_ms=300.0)
NOTHING_AHEAD = Engine(warm=False, prefetch=False, go_on=False)


async def test_what_was_typed_ahead_of_the_model_and_turns_out_wrong_is_asked_anew(completer: Make) -> None:
    more = asyncio.Event()
    provider = Fake(lambda prompt: ["se", more, "ssion = 1\n"] if prompt.prefix.endswith("\n") else ["total"])
    one = completer(provider, QUIET)
    first = asyncio.ensure_future(one.complete(at("x\n█\n")))
    await settle()
    second = asyncio.ensure_future(one.complete(at("x\nself.█\n")))
    await settle()
    assert len(provider.asked) == 1
    more.set()
    assert texts(await second) == ["total"]
    await first


@pytest.mark.parametrize("lines", range(60, 100, 4))
async def test_what_is_asked_ahead_leaves_the_window_where_it_is(completer: Make, time: Time, lines: int) -> None:
    provider = Fake(lambda prompt: ["done"] if prompt.priority == "background" else ["\n".join(f"b{i} = {i}" for i in range(12))])
    provider.limits = Limits(prefix_tokens=100, suffix_tokens=30, chars_per_token=4.0, typical_ms=1.0)
    one = completer(provider, Settings(engine=Engine(warm=False)))
    above, below = ("".join(f"{name}{i} = {i}\n" for i in range(lines)) for name in "ac")
    await one.complete(at(f"{above}█\n{below}"))
    await time.pass_(0.3)
    asked, ahead = provider.asked
    assert ahead.prefix == asked.prefix + "\n".join(f"b{i} = {i}" for i in range(12))
    assert ahead.suffix == asked.suffix
    assert len(asked.prefix) < len(above)


async def test_drafting_ahead_can_be_switched_off(completer: Make, time: Time) -> None:
    provider = Fake(["a = 1"])
    await completer(provider, QUIET).complete(at("def f():\n    █\n"))
    await time.pass_(1)
    assert len(provider.asked) == 1


async def test_nothing_is_drafted_ahead_in_a_burst_of_keys(completer: Make, time: Time) -> None:
    provider = Fake(["total = 1"])
    one = completer(provider, Settings(engine=Engine(warm=False)))
    for typed in range(6):
        await one.complete(at(f"x\n{'total'[:typed]}█\n"))
        await time.pass_(0.1)
    assert len(provider.asked) == 1
    await time.pass_(0.2)
    assert [prompt.priority for prompt in provider.asked] == ["automatic", "background"]


async def test_a_document_is_evaluated_ahead_when_opened_and_after_a_pause(completer: Make, time: Time) -> None:
    provider = Fake(["abc"])
    one = completer(provider)
    one.changed(at("x = █\n"), typed=False)
    await settle()
    assert [prompt.prefix for prompt in provider.warmed] == ["x = "]
    one.changed(at("x = 1█\n"), typed=True)
    await time.pass_(0.1)
    one.changed(at("x = 12█\n"), typed=True)
    await time.pass_(0.2)
    assert [prompt.prefix for prompt in provider.warmed] == ["x = ", "x = 12"]


async def test_where_the_cursor_rests_is_evaluated_ahead_after_a_pause(completer: Make, time: Time) -> None:
    provider = Fake(["abc"])
    one = completer(provider)
    one.moved(at("x = █\ny = 1\n"))
    await time.pass_(0.1)
    one.moved(at("x = \ny = 1█\n"))
    await time.pass_(0.2)
    assert [prompt.prefix for prompt in provider.warmed] == ["x = \ny = 1"]


async def test_nothing_is_evaluated_ahead_where_it_would_leave_the_machine(completer: Make, time: Time) -> None:
    provider = Fake(["abc"], limits=Limits(remote=True))
    one = completer(provider)
    one.changed(at("x = █\n"), typed=False)
    await time.pass_(1)
    assert not provider.warmed and not provider.asked


async def test_drafting_ahead_stops_when_something_else_is_typed(completer: Make, time: Time) -> None:
    provider = Fake(lambda prompt: [asyncio.Event()] if prompt.priority == "background" else ["a = 1"])
    one = completer(provider, Settings(engine=Engine(warm=False)))
    await one.complete(at("x\n█\n"))
    await time.pass_(0.3)
    one.changed(at("x\na█\n"), typed=True)
    await settle()
    assert not provider.stopped
    one.changed(at("x\nab█\n"), typed=True)
    await settle()
    assert [prompt.priority for prompt in provider.stopped] == ["background"]


async def test_accepting_while_what_follows_is_still_being_drafted_joins_it(completer: Make, time: Time) -> None:
    more = asyncio.Event()
    provider = Fake(lambda prompt: ["\nb", more, " = 2\n"] if prompt.priority == "background" else ["a = 1"])
    one = completer(provider, Settings(engine=Engine(warm=False)))
    await one.complete(at("x\n█\n"))
    await time.pass_(0.3)
    one.changed(at("x\na = 1█\n"), typed=False)
    task = asyncio.ensure_future(one.complete(at("x\na = 1█\n")))
    await settle()
    more.set()
    assert texts(await task) == ["\nb = 2"]
    assert len(provider.asked) == 2


async def test_while_waiting_for_the_burst_to_end_the_prompt_is_evaluated_already(completer: Make, time: Time) -> None:
    provider = Fake(["abc"], limits=SLOW)
    task = asyncio.ensure_future(completer(provider).complete(at("x = █\n")))
    await settle()
    assert [prompt.prefix for prompt in provider.warmed] == ["x = "] and not provider.asked
    await time.pass_(0.3)
    assert texts(await task) == ["abc"]


@pytest.mark.parametrize(("warm", "times"), [(True, 1), (False, 0)])
@pytest.mark.parametrize("how", ["opened", "typed", "moved", "waited"])
async def test_nothing_is_evaluated_ahead_where_that_is_switched_off(completer: Make, time: Time, how: str, warm: bool, times: int) -> None:
    provider = Fake(["x + y"], limits=SLOW)
    one = completer(provider, Settings(engine=Engine(warm=warm, prefetch=False)))
    place = at("    return █\n")
    if how == "waited":
        one.changed(place, typed=True)
        asking = asyncio.ensure_future(one.complete(place))
        await settle()
        assert not provider.asked, "it waits for the burst of keys to end"
        assert len(provider.warmed) == times
        await time.pass_(1)
        assert texts(await asking) == ["x + y"]
        return
    if how == "moved":
        one.moved(place)
    else:
        one.changed(place, typed=how == "typed")
    await time.pass_(1)
    assert len(provider.warmed) == times


@pytest.mark.parametrize(("prefetch", "asked"), [(True, ["automatic", "background"]), (False, ["automatic"])])
async def test_nothing_is_drafted_ahead_where_that_is_switched_off(completer: Make, time: Time, prefetch: bool, asked: list[str]) -> None:
    provider = Fake(["a = 1"])
    one = completer(provider, Settings(engine=Engine(warm=False, prefetch=prefetch)))
    await one.complete(at("x\n█\n"))
    await time.pass_(1)
    assert [prompt.priority for prompt in provider.asked] == asked


@pytest.mark.parametrize("go_on", [True, False])
async def test_an_answer_ends_with_its_first_line_where_going_on_is_switched_off(completer: Make, go_on: bool) -> None:
    provider = Fake(["x"])
    one = completer(provider, Settings(engine=Engine(warm=False, prefetch=False, go_on=go_on)))
    await one.complete(at("y = █\n"))
    await one.complete(at("y = █\n", automatic=False))
    assert [prompt.stop.single_line for prompt in provider.asked] == [not go_on, False]


async def test_what_goes_on_or_is_drafted_ends_when_it_is_switched_off(completer: Make, time: Time) -> None:
    stall = asyncio.Event()
    provider = Fake(
        lambda prompt: ["b = 2", stall] if prompt.priority == "background" else ["a = 1"] if prompt.slot == "file:///a.py" else ["c = 3\n", stall]
    )
    one = completer(provider, Settings(engine=Engine(warm=False)))
    await one.complete(at("x\n█\n"))
    await one.complete(at("█\nend()\n", uri="file:///b.py"))
    await time.pass_(0.3)
    assert not provider.stopped
    one.settings = Settings(engine=NOTHING_AHEAD)
    await settle()
    assert {(prompt.slot, prompt.priority) for prompt in provider.stopped} == {("file:///a.py", "background"), ("file:///b.py", "automatic")}
