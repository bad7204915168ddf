"""Drafts by lookup: what is guessed, and that guessing never costs more than it may."""

from __future__ import annotations

import random

import pytest

from infill.engine.drafts import LENGTHS, Lookup, Policy

SINGLE = 0.03


def generate(
    policy: Policy, tokens: int, cost: float, rightness: float, seed: int = 0, *, found: float = 1.0, read: float = 0.0, look: float = 0.0
) -> tuple[float, int]:
    """Act out a generation on a machine where one more token in a batch costs `cost` of a single one; seconds spent, and tokens had.

    Reading the prompt for the first draft takes `read` seconds, every look into it `look`, and a share of `found` of those finds something.
    """
    rng, seconds, had = random.Random(seed), 0.0, 0
    while had < tokens:
        length = policy.length()
        if length:
            looked, read = look + read, 0.0
            policy.looked(looked)
            seconds += looked
        if not length or rng.random() >= found:
            policy.plain(SINGLE)
            seconds, had = seconds + SINGLE, had + 1
            continue
        accepted = next((i for i in range(length) if rng.random() >= rightness), length)
        took = SINGLE * (1 + cost * length)
        policy.tried(length, length, accepted, took)
        seconds, had = seconds + took, had + 1 + accepted
    return seconds, had


def test_what_followed_the_same_tokens_before_is_the_guess() -> None:
    lookup = Lookup([1, 2, 3, 4, 5, 6, 7, 8, 9], ())
    for token in (50, 2, 3, 4):
        lookup.add(token)
    assert lookup.guess(3) == [5, 6, 7]


def test_the_latest_place_counts_and_the_answer_itself_is_looked_at_too() -> None:
    lookup = Lookup([1, 2, 3, 4, 9, 1, 2, 3, 5], ())
    for token in (1, 2, 3):
        lookup.add(token)
    assert lookup.guess(1) == [5]
    for token in (6, 1, 2, 3):
        lookup.add(token)
    assert lookup.guess(1) == [6]


def test_what_was_never_seen_gives_no_guess() -> None:
    assert Lookup([1, 2, 3, 4], ()).guess(3) == []
    assert Lookup([], ()).guess(3) == []


def test_a_guess_never_runs_across_the_parts_of_the_prompt() -> None:
    lookup = Lookup([1, 2, 3, 4, 900, 5, 6], {900})
    for token in (1, 2, 3):
        lookup.add(token)
    assert lookup.guess(5) == [4]


@pytest.mark.parametrize("cost", [0.5, 1.0, 1.3])
@pytest.mark.parametrize("rightness", [0.0, 0.4, 0.7])
@pytest.mark.parametrize("found", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("read", "look"), [(0.0, 0.0), (0.15 * SINGLE, 0.001 * SINGLE), (2 * SINGLE, 0.01 * SINGLE)])
def test_where_batches_are_dear_drafting_costs_less_than_two_percent(cost: float, rightness: float, found: float, read: float, look: float) -> None:
    policy, seconds, had = Policy(), 0.0, 0
    for part in range(80):
        took, came = generate(policy, 60, cost, rightness, part, found=found, read=read, look=look)
        seconds, had = seconds + took, had + came
        assert seconds <= 1.02 * had * SINGLE
    assert policy.overhead == pytest.approx(1 - had * SINGLE / seconds, abs=1e-3), "and it knows"


def test_where_batches_are_cheap_and_guesses_right_drafting_pays() -> None:
    policy = Policy()
    generate(policy, 1500, 0.05, 0.9)
    seconds, had = generate(policy, 1500, 0.05, 0.9)
    assert seconds < 0.45 * had * SINGLE


def test_drafting_ends_when_guesses_turn_wrong() -> None:
    policy = Policy()
    generate(policy, 1500, 0.05, 0.9)
    generate(policy, 3000, 0.6, 0.0)
    seconds, had = generate(policy, 1000, 0.6, 0.0)
    assert seconds <= 1.03 * had * SINGLE


def test_a_policy_whose_lookups_take_long_rarely_looks() -> None:
    policy, looks = Policy(), 0
    for _ in range(4000):
        if policy.length():
            looks += 1
            policy.looked(2 * SINGLE)  # a long prompt, and nothing found in it
        policy.plain(SINGLE)
    assert looks >= 1
    assert looks * 2 * SINGLE <= 0.02 * 4000 * SINGLE


def test_nothing_is_drafted_before_a_single_token_was_measured() -> None:
    assert Policy().length() == 0
    assert min(LENGTHS) > 0
