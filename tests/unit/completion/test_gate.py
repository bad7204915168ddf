"""Which suggestions are shown while typing: by the probability of their first line, and by `completion.eagerness`."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec
import pytest
from conftest_completion import QUIET, Make, at, settle, texts
from hypothesis import given
from hypothesis import strategies as st

from infill.ask import Delta, Finish
from infill.completion.answer import Answer
from infill.completion.filter import READING, Eagerness, threshold
from infill.completion.place import place_of
from infill.providers.fake import Fake
from infill.settings import Completion, Settings, resolve


def settings(eagerness: Eagerness) -> Settings:
    return msgspec.structs.replace(QUIET, completion=Completion(eagerness=eagerness))


def said(*pieces: tuple[str, float | None]) -> list[Any]:
    """An answer in pieces, each with the probability of all text up to its end."""
    return [Delta(text, logprob=None if probability is None else math.log(probability)) for text, probability in pieces]


@pytest.mark.parametrize(
    ("probability", "eagerness", "shown"),
    [(0.01, "medium", False), (0.01, "high", True), (0.01, "low", False), (0.95, "low", True), (0.95, "medium", True), (None, "low", True)],
)
async def test_what_is_improbable_is_not_shown_unless_all_of_it_is_wanted_or_nothing_is_known(
    completer: Make, probability: float | None, eagerness: Eagerness, shown: bool
) -> None:
    outcome = await completer(Fake(said(("some_name + 1", probability))), settings(eagerness)).complete(at("x = █\n"))
    assert bool(outcome.suggestions) == shown
    assert outcome.held_back != shown
    if not shown:
        assert outcome.reason.startswith("held back: 1% likely to be right, and shown from ")


async def test_a_request_by_key_is_always_answered(completer: Make) -> None:
    outcome = await completer(Fake(said(("some_name + 1", 0.001))), settings("low")).complete(at("x = █\n", automatic=False))
    assert texts(outcome) == ["some_name + 1"] and not outcome.held_back


@pytest.mark.parametrize(("first", "shown"), [(0.9, ["sure()"]), (0.01, [])])
async def test_an_answer_that_grows_is_judged_by_its_first_line_when_it_is_there(completer: Make, first: float, shown: list[str]) -> None:
    more = asyncio.Event()
    one = completer(Fake([*said(("sure()\n", first)), more, *said(("unsure()\n", 0.0001))]), settings("medium"))
    task = asyncio.ensure_future(one.complete(at("x\n█\n")))
    await settle()
    assert task.done()
    assert texts(await task) == shown
    more.set()


async def test_what_was_held_back_is_shown_once_enough_of_it_is_typed(completer: Make) -> None:
    provider = Fake(said(("na", 0.01), ("me_of_the_user", 0.009)))
    one = completer(provider, settings("medium"))
    assert (await one.complete(at("x = █\n"))).held_back
    assert texts(await one.complete(at("x = na█\n"))) == ["me_of_the_user"]
    assert len(provider.asked) == 1


async def test_an_explanation_tells_the_probability_and_that_it_was_held_back(completer: Make) -> None:
    one = completer(Fake(said(("some_name + 1", 0.02))), settings("medium"))
    await one.complete(at("x = █\n"))
    told = one.explain()
    assert (told["probability"], told["heldBack"], told["suggestions"]) == (0.02, True, 0)
    assert "held back" in str(told["reason"])


def answer(*pieces: tuple[str, float], end: float | None = None) -> Answer:
    made = Answer(place_of(at("x\n█\n")))
    for event in said(*pieces):
        made.apply(event)
    if end is not None:
        made.apply(Finish(logprob=math.log(end)))
        made.close()
    return made


def test_the_probability_is_that_of_the_first_line_beyond_what_was_typed() -> None:
    whole = answer(("first = 1\n", 0.5), ("second = 2\n", 0.2), ("third", 0.1), end=0.05)
    assert whole.rest("")[0].probability == pytest.approx(0.5)
    assert whole.rest("first = 1\n")[0].probability == pytest.approx(0.2 / 0.5)
    assert whole.rest("first = 1\nsecond = 2\n")[0].probability == pytest.approx(0.05 / 0.2)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.integers(0, 30))
def test_a_probability_is_one_whatever_the_pieces_and_what_was_typed(shares: list[float], typed: int) -> None:
    pieces, product = [], 1.0
    for number, share in enumerate(shares):
        product *= share
        pieces.append((f"call{number}(){chr(10) if number % 2 else ' + '}", product))
    text = "".join(piece for piece, _ in pieces)
    whole = answer(*pieces, end=product)
    for suggestion in whole.rest(text[:typed]):
        assert suggestion.probability is not None and product - 1e-9 <= suggestion.probability <= 1


def test_the_more_eager_the_less_probable_a_suggestion_may_be() -> None:
    low, medium, high = map(threshold, READING)
    assert 1 > low > medium > high == 0


@pytest.mark.parametrize(
    ("options", "eagerness", "problems"),
    [
        ({"minConfidence": 0.0}, "medium", 0),
        ({"minConfidence": 0.3}, "medium", 1),
        ({"minConfidence": 0.8}, "low", 1),
        ({"minConfidence": 0.8, "eagerness": "high"}, "high", 1),
        ({"minConfidence": "much"}, "medium", 0),
        ({"eagerness": "low"}, "low", 0),
        ({"eagerness": "keen"}, "medium", 1),
    ],
)
def test_the_replaced_threshold_is_still_understood(options: dict[str, Any], eagerness: str, problems: int) -> None:
    found, told = resolve({"completion": options})
    assert found.completion.eagerness == eagerness
    assert len(told) == problems
