"""Who answers, with providers that play a script and a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from infill.ask import Delta, Event, Finish, Instruction, Message, Prompt, Report, Stop
from infill.errors import InfillError, ModelMissing, ProviderRefused, ProviderUnavailable
from infill.providers.base import Limits
from infill.providers.breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Breaker
from infill.providers.chain import Chain
from infill.providers.fake import Fake
from infill.providers.race import Member
from infill.providers.trouble import NotAsked, Throttled

REMOTE = Limits(remote=True)
PROMPT = Prompt(slot="s", prefix="a", suffix="b", stop=Stop(deadline_ms=2000))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def chain_of(*providers: Any, tell: Any = lambda error: None, hedge_ms: int = 0, clock: Any = time.monotonic, timeout_ms: int = 0) -> Chain:
    return Chain([Member(provider, timeout_ms, clock) for provider in providers], tell=tell, hedge_ms=hedge_ms, clock=clock)


async def ask(chain: Chain, prompt: Prompt = PROMPT) -> tuple[str, Report]:
    events: list[Event] = [event async for event in chain.complete(prompt)]
    assert isinstance(events[-1], Report)
    assert [event for event in events if isinstance(event, Finish)]
    return "".join(event.text for event in events if isinstance(event, Delta)), events[-1]


async def test_the_first_that_can_answer_does() -> None:
    chain = chain_of(Fake(["one\n"], name="one"), Fake(["two\n"], name="two"))
    assert (await ask(chain))[0] == "one\n"
    assert chain.name == "one"


@pytest.mark.parametrize("trouble", [ProviderUnavailable("away"), ProviderRefused("no key"), ModelMissing("not here"), RuntimeError("a bug")])
async def test_the_next_one_answers_when_the_first_cannot(trouble: Exception) -> None:
    chain = chain_of(Fake([trouble], name="one"), Fake(["two\n"], name="two"))
    text, report = await ask(chain)
    assert text == "two\n"
    assert report.provider == "two"
    assert report.notes[0].startswith("one: ")
    assert report.notes[1].startswith("two had a line after")


async def test_what_was_said_before_a_failure_is_taken_back_for_the_next_one() -> None:
    chain = chain_of(Fake(["half a", ProviderUnavailable("gone")], name="one"), Fake(["two\n"], name="two"))
    assert (await ask(chain))[0] == "two\n"


async def test_a_failure_after_the_first_line_ends_the_answer_there() -> None:
    chain = chain_of(Fake(["line\n", "ha", ProviderUnavailable("gone")], name="one"), Fake(["two\n"], name="two"))
    events = [event async for event in chain.complete(PROMPT)]
    assert [event for event in events if isinstance(event, Finish)] == [Finish(0, why="stopped")]
    assert isinstance(events[-1], Report)
    assert "broke off: gone" in events[-1].notes[-1]


async def test_a_refusal_is_told_once_and_never_again_at_every_key() -> None:
    told: list[InfillError] = []
    chain = chain_of(Fake([ProviderRefused("wrong key")], name="one", limits=REMOTE), Fake(["two\n"], name="two"), tell=told.append)
    for _ in range(5):
        await ask(chain)
    assert [error.message for error in told] == ["wrong key"]


async def test_a_missing_local_model_is_told_once_while_the_next_one_answers() -> None:
    told: list[InfillError] = []
    local = Fake([ModelMissing("The model is not here.", "Download it.")], name="local")
    chain = chain_of(local, Fake(["two\n"], name="two"), tell=told.append)
    for _ in range(3):
        assert (await ask(chain))[0] == "two\n"
    assert [error.hint for error in told] == ["Download it."]
    local.script = ["local again\n"]
    assert (await ask(chain))[0] == "local again\n"


async def test_too_many_requests_are_waited_out() -> None:
    clock = Clock()
    one = Fake([Throttled("slow down", "", 30.0)], name="one", limits=REMOTE)
    chain = chain_of(one, Fake(["two\n"], name="two"), clock=clock)
    await ask(chain)
    one.script = ["one\n"]
    clock.now += 29
    assert (await ask(chain))[0] == "two\n"
    clock.now += 2
    assert (await ask(chain))[0] == "one\n"


async def test_nobody_could_answer_says_who_was_asked_and_why_not() -> None:
    chain = chain_of(Fake([ProviderUnavailable("away")], name="one"), Fake([ProviderUnavailable("asleep")], name="two"))
    with pytest.raises(ProviderUnavailable, match=r"No provider answered: one: away .*; two: asleep"):
        await ask(chain)


async def test_a_refusal_is_what_is_raised_when_nobody_could() -> None:
    chain = chain_of(Fake([ProviderRefused("wrong key")], name="one"), Fake([ProviderUnavailable("asleep")], name="two"))
    with pytest.raises(ProviderRefused, match="wrong key"):
        await ask(chain)


async def test_one_that_is_silent_loses_its_turn_within_the_same_deadline() -> None:
    silent = Fake([asyncio.Event()], name="one", limits=REMOTE)
    chain = chain_of(silent, Fake(["two\n"], name="two"), timeout_ms=30)
    began = time.monotonic()
    assert (await ask(chain))[0] == "two\n"
    assert time.monotonic() - began < 1.5
    assert silent.stopped


async def test_a_hedge_is_asked_when_the_first_is_late_and_the_loser_is_stopped() -> None:
    silent = Fake([asyncio.Event()], name="one", limits=REMOTE)
    chain = chain_of(silent, Fake(["two\n"], name="two"), hedge_ms=10)
    text, report = await ask(chain)
    assert text == "two\n"
    assert silent.stopped
    assert any("one: slower" in note for note in report.notes)


async def test_while_the_local_model_loads_the_next_one_answers_and_then_it_takes_over() -> None:
    local = Fake(["local\n"], name="local", limits=Limits(ready=False))
    chain = chain_of(local, Fake(["two\n"], name="two"))
    assert (await ask(chain))[0] == "two\n"
    assert local.warmed
    local.limits = Limits()
    assert (await ask(chain))[0] == "local\n"


async def test_a_model_that_turns_out_to_be_loading_is_not_waited_for() -> None:
    local = Fake([], name="local")

    def script(question: Prompt | Instruction) -> list[Any]:
        local.limits = Limits(ready=False)
        return [asyncio.Event()]

    local.script = script
    chain = chain_of(local, Fake(["two\n"], name="two"))
    began = time.monotonic()
    assert (await ask(chain))[0] == "two\n"
    assert time.monotonic() - began < 0.9


async def test_cancelling_stops_everybody_who_was_asked() -> None:
    begun = asyncio.Event()

    def script(question: Prompt | Instruction) -> list[Any]:
        begun.set()
        return [asyncio.Event()]

    one, two = Fake([asyncio.Event()], name="one"), Fake(script, name="two")
    chain = chain_of(one, two, hedge_ms=1)
    task = asyncio.ensure_future(ask(chain))
    await asyncio.wait_for(begun.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert one.stopped
    assert two.stopped


async def test_not_asking_is_no_failure_of_the_provider() -> None:
    one = Fake([NotAsked("stays here")], name="one", limits=REMOTE)
    chain = chain_of(one, Fake(["two\n"], name="two"))
    for _ in range(FAILURES + 2):
        await ask(chain)
    assert chain.members[0].breaker.state == "closed"


async def test_instructions_go_to_the_provider_that_the_models_id_names() -> None:
    one, two = Fake(["one"], name="openai:one"), Fake(["two"], name="openai:two")
    chain = chain_of(one, two)
    question = Instruction(slot="g", messages=(Message("user", "hi"),))
    said = [event async for event in chain.generate(question, "openai:two/gpt")]
    assert Delta("two") in said
    assert not one.asked


async def test_control_characters_of_any_provider_are_cleaned() -> None:
    chain = chain_of(Fake(["a\x1b[3", "1mb\u202e\n"], name="one"))
    assert (await ask(chain))[0] == "ab\n"


def test_a_breaker_opens_tries_once_and_closes() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        assert breaker.allows()
        breaker.begin()
        breaker.failure("away")
    assert (breaker.state, breaker.allows()) == ("open", False)
    clock.now += FIRST_PAUSE
    assert (breaker.state, breaker.allows()) == ("half-open", True)
    breaker.begin()
    assert not breaker.allows()
    breaker.success()
    assert (breaker.state, breaker.allows()) == ("closed", True)


def test_a_breaker_whose_probe_fails_stays_open_twice_as_long_up_to_a_limit() -> None:
    clock = Clock()
    breaker = Breaker(clock, failures=1)
    breaker.begin()
    breaker.failure("away")
    pauses = []
    for _ in range(8):
        pauses.append(breaker.left())
        clock.now += breaker.left()
        breaker.begin()
        breaker.failure("away")
    assert pauses[:3] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_probe_that_was_given_up_leaves_the_way_free_for_another() -> None:
    clock = Clock()
    breaker = Breaker(clock, failures=1)
    breaker.begin()
    breaker.failure("away")
    clock.now += FIRST_PAUSE
    breaker.begin()
    breaker.abandoned()
    assert breaker.allows()
