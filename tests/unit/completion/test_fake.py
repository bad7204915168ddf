"""The scripted provider does exactly what the script says."""

from __future__ import annotations

import asyncio

import pytest

from infill.ask import Delta, Finish, Instruction, Message, Prompt, Report
from infill.errors import ProviderRefused
from infill.providers.fake import Fake

PROMPT = Prompt(slot="a", prefix="x", suffix="y", candidates=2)


async def test_text_becomes_deltas_and_every_candidate_gets_its_end() -> None:
    events = [event async for event in Fake(["a", Delta("b", 1), Finish(1, "length")]).complete(PROMPT)]
    assert events == [Delta("a"), Delta("b", 1), Finish(1, "length"), Finish(0), Report(provider="fake", model="fake")]


async def test_a_script_may_depend_on_the_question_and_answers_instructions_too() -> None:
    fake = Fake(lambda question: [question.messages[-1].content.upper()] if isinstance(question, Instruction) else [question.prefix])
    assert await anext(fake.complete(PROMPT)) == Delta("x")
    assert await anext(fake.generate(Instruction(slot="a", messages=(Message("user", "hello"),)))) == Delta("HELLO")
    assert len(fake.asked) == 2


async def test_trouble_comes_where_the_script_has_it() -> None:
    stream = Fake(["a", ProviderRefused("No.")]).complete(PROMPT)
    assert await anext(stream) == Delta("a")
    with pytest.raises(ProviderRefused):
        await anext(stream)


async def test_a_stall_lasts_until_it_is_left() -> None:
    fake = Fake(["a", asyncio.Event()])
    stream = fake.complete(PROMPT)
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert fake.stopped == [PROMPT]


async def test_latency_is_what_the_clock_is_told() -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    assert len([event async for event in Fake([0.25, "a", 0.5, "b"], sleep=sleep).complete(PROMPT)]) == 5
    assert slept == [0.25, 0.5]
