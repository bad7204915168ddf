"""Answers that are shown, or read no further, before their end."""

from __future__ import annotations

import asyncio

from conftest_completion import QUIET, Make, Time, at, settle, texts

from infill.providers.base import Limits
from infill.providers.fake import Fake


async def test_a_line_that_takes_long_is_shown_as_far_as_its_words_are(completer: Make, time: Time) -> None:
    more = asyncio.Event()
    provider = Fake(["total = quantity * pri", more, "ce\n"])
    one = completer(provider, QUIET)
    first = asyncio.ensure_future(one.complete(at("x\n█\n")))
    await time.pass_(QUIET.latency.target / 1000 * 0.8)
    assert not first.done()
    await time.pass_(QUIET.latency.target / 1000 * 0.1)
    assert texts(await first) == ["total = quantity *"]
    more.set()
    await settle()
    assert texts(await one.complete(at("x\nto█\n"))) == ["tal = quantity * price"]
    assert len(provider.asked) == 1


async def test_a_few_characters_of_a_line_are_not_worth_showing_however_long_they_take(completer: Make, time: Time) -> None:
    more = asyncio.Event()
    one = completer(Fake(["x = ", more, "quantity * price\n"]), QUIET)
    first = asyncio.ensure_future(one.complete(at("x\n█\n")))
    await time.pass_(QUIET.latency.target / 1000 * 2)
    assert not first.done()
    more.set()
    assert texts(await first) == ["x = quantity * price"]


async def test_a_long_line_is_shown_before_its_end(completer: Make) -> None:
    more = asyncio.Event()
    provider = Fake(["total = sum(item.price * item.quantity for item in ", "self.items if item.is_in_st", more, "ock)\n"])
    one = completer(provider, QUIET)
    assert texts(await one.complete(at("x\n█\n"))) == ["total = sum(item.price * item.quantity for item in self.items if"]
    more.set()
    await settle()
    assert texts(await one.complete(at("x\nto█\n"))) == ["tal = sum(item.price * item.quantity for item in self.items if item.is_in_stock)"]


async def test_what_has_grown_meanwhile_is_there_at_once_when_half_a_line_was_accepted(completer: Make) -> None:
    more, still = asyncio.Event(), asyncio.Event()
    provider = Fake(["total = sum(item.price * item.quantity for item in self.shelf.items if", more, " item.is_in_stock and", still])
    one = completer(provider, QUIET)
    (shown,) = texts(await one.complete(at("x\n█\n")))
    more.set()
    await settle()
    accepted = at(f"x\n{shown}█\n")
    one.changed(accepted, typed=False)
    assert texts(await one.complete(accepted)) == [" if item.is_in_stock"]
    assert len(provider.asked) == 1


async def test_half_a_line_of_an_answer_that_was_stopped_is_not_shown_later(completer: Make) -> None:
    provider = Fake(
        lambda prompt: ["total = sum(item.price * item.quantity for item in self.items ", asyncio.Event()] if not provider.asked[1:] else ["ok()\n"]
    )
    one = completer(provider, QUIET)
    assert texts(await one.complete(at("x\n█\n"))) == ["total = sum(item.price * item.quantity for item in self.items"]
    assert texts(await one.complete(at("y\n█\n"))) == ["ok()"]
    await settle()
    assert texts(await one.complete(at("x\n█\n"))) == ["ok()"]


async def test_a_line_from_another_machine_is_waited_for(completer: Make, time: Time) -> None:
    more = asyncio.Event()
    one = completer(Fake(["total = quantity * pri", more, "ce\n"], limits=Limits(remote=True)), QUIET)
    first = asyncio.ensure_future(one.complete(at("x\n█\n")))
    await time.pass_(QUIET.latency.target / 1000 * 2)
    assert not first.done()
    more.set()
    assert texts(await first) == ["total = quantity * price"]


async def test_what_may_become_a_loop_is_shown_with_its_first_turn_and_whole_where_it_was_none(completer: Make) -> None:
    more = asyncio.Event()
    provider = Fake(["seen: Triple[String, String, Str", more, "eam] = ()\n"])
    one = completer(provider, QUIET)
    assert texts(await one.complete(at("x\n█\n"))) == ["seen: Triple[String,"]
    more.set()
    await settle()
    assert texts(await one.complete(at("x\nse█\n"))) == ["en: Triple[String, String, Stream] = ()"]
    assert len(provider.asked) == 1


async def test_a_line_that_runs_in_circles_is_shown_with_one_turn_and_read_no_further(completer: Make) -> None:
    provider = Fake(["call(", *["one, other, "] * 4, asyncio.Event()])
    one = completer(provider, QUIET)
    assert texts(await one.complete(at("x\n█\n"))) == ["call(one, other,"]
    await settle()
    assert len(provider.stopped) == 1


async def test_reading_stops_when_the_model_runs_in_circles(completer: Make) -> None:
    provider = Fake(["foo(1)\n", "foo(1)\n", "foo(1)\n", asyncio.Event()])
    one = completer(provider, QUIET)
    assert texts(await one.complete(at("x\n█\n"))) == ["foo(1)"]
    await settle()
    assert len(provider.stopped) == 1
