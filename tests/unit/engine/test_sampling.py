"""Choosing tokens from logits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from infill.ask import Sampling
from infill.engine.sampling import Chooser, compatible, likeliest, log_probability

PIECES = [b"urn", b"return", b"ret", b"r", b" return", b"", b"retry", b"x"]
LOGITS = np.array([5.0, 3.0, 1.0, 0.0, 6.0, 9.0, 2.0, 8.0], np.float32)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum()


def test_a_log_probability_is_that_of_the_softmax() -> None:
    for token, probability in enumerate(PROBABILITIES):
        assert log_probability(LOGITS, token) == pytest.approx(math.log(probability), abs=1e-4)


def test_large_logits_do_not_overflow() -> None:
    assert log_probability(LOGITS * 100, 5) == pytest.approx(0.0, abs=1e-6)


def test_the_likeliest_come_best_first() -> None:
    best = likeliest(LOGITS, 3)
    assert [token for token, _ in best] == [5, 7, 4]
    assert best[0][1] == pytest.approx(math.log(PROBABILITIES[5]), abs=1e-4)


def test_a_half_typed_word_goes_on_with_a_token_that_agrees_with_it() -> None:
    found = compatible(LOGITS, 8, b"ret", PIECES.__getitem__)
    assert [PIECES[token] for token, _ in found] == [b"return", b"retry", b"ret", b"r"]


def test_how_sure_it_is_counts_among_those_that_agree() -> None:
    found = compatible(LOGITS, 8, b"ret", PIECES.__getitem__)
    assert sum(math.exp(logprob) for _, logprob in found) == pytest.approx(1.0)


def test_nothing_that_agrees_gives_nothing() -> None:
    assert compatible(LOGITS, 3, b"zebra", PIECES.__getitem__) == []


@pytest.mark.parametrize("spread", [0.0, 0.01, 50.0])
def test_the_likeliest_are_found_among_many_equals_and_many_far_apart(spread: float) -> None:
    logits = (np.random.default_rng(3).standard_normal(5000) * spread).astype(np.float32)
    best = likeliest(logits, 20)
    assert [float(logits[token]) for token, _ in best] == sorted(logits.tolist(), reverse=True)[:20]


def test_a_line_break_goes_on_with_indentation_and_never_with_another_line_break() -> None:
    pieces = [b"\n\n", b"\n    ", b"\n", b"\n\n    ", b"x", b"    ", b"\n\t", b" "]
    found = compatible(LOGITS, 8, b"\n", pieces.__getitem__)
    assert [pieces[token] for token, _ in found] == [b"\n    ", b"\n\t", b"\n"]


def _chosen(judged: int) -> list[tuple[int, float]]:
    chooser = Chooser(Sampling(), judged=judged)
    rows = [LOGITS, LOGITS[::-1].copy(), LOGITS * 2]
    return [chooser.choose(row, None, 0) for row in rows]  # type: ignore[arg-type] - a greedy choice needs no context


def test_the_same_tokens_are_chosen_however_many_probabilities_are_computed() -> None:
    assert [token for token, _ in _chosen(0)] == [token for token, _ in _chosen(3)] == [5, 2, 5]
    assert [logprob for _, logprob in _chosen(0)] == [0.0, 0.0, 0.0]
    assert all(logprob < 0 for _, logprob in _chosen(3))


def test_tokens_beyond_the_judged_ones_have_their_mean() -> None:
    all_three, two = _chosen(3), _chosen(2)
    assert two[:2] == all_three[:2]
    assert two[2][1] == pytest.approx((all_three[0][1] + all_three[1][1]) / 2)
