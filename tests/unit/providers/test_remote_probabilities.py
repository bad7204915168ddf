"""How probable a remote server says its answer is: in the words of each kind of server."""

from __future__ import annotations

import math
from typing import Any

import pytest

from infill.ask import Prompt
from infill.providers.dialect import Facts, Piece
from infill.providers.llamacpp import LlamaCpp
from infill.providers.mistral import Mistral
from infill.providers.ollama import Ollama
from infill.providers.openai import OpenAi, logprob_of
from infill.providers.remote import Certainty

PROMPT = Prompt(slot="a", prefix="x = ", suffix="\n", logprobs=True)


@pytest.mark.parametrize(
    ("said", "logprob"),
    [
        ({"tokens": ["a", "b"], "token_logprobs": [-0.5, -1]}, -1.5),
        ({"content": [{"token": "a", "logprob": -0.25}, {"token": "b", "logprob": 1e-9}]}, -0.25),
        ([{"token": "a", "logprob": -2.0, "top_logprobs": []}], -2.0),
        (None, None),
        ({}, None),
        ([], None),
        ({"token_logprobs": [None, -1]}, None),
        ([{"token": "a", "prob": 0.5}], None),
        ({"token_logprobs": [math.nan]}, None),
        ({"token_logprobs": [3.0]}, None),
        ({"token_logprobs": "much"}, None),
        ({"token_logprobs": [True]}, None),
        ({"content": [{"token": "a", "logprob": -9999.0}]}, None),
    ],
)
def test_the_probability_of_a_message_is_understood_and_what_makes_no_sense_is_not_believed(said: Any, logprob: float | None) -> None:
    assert logprob_of(said) == logprob


def test_an_answer_has_a_probability_only_if_each_of_its_pieces_has() -> None:
    certainty = Certainty()
    assert certainty.logprob is None
    for logprob, total in ((-1.0, -1.0), (-0.5, -1.5)):
        certainty.feed(Piece(text="a", logprob=logprob))
        assert certainty.logprob == total
    certainty.feed(Piece(why="end"))
    assert certainty.logprob == -1.5
    certainty.feed(Piece(text="b"))
    assert certainty.logprob is None


def test_what_a_chat_model_says_before_its_code_does_not_count() -> None:
    certainty = Certainty()
    for text, logprob in (("```py", -3.0), ("thon\n", -2.0), ("ret", -0.5), ("urn x", -0.25)):
        certainty.feed(Piece(text=text, logprob=logprob))
    assert certainty.logprob == -5.75
    certainty.begin("return x\n")
    assert certainty.logprob == -0.75
    certainty.feed(Piece(text="\n", logprob=-0.125))
    assert certainty.logprob == -0.875


@pytest.mark.parametrize(
    ("dialect", "name", "message"),
    [
        (OpenAi(), "logprobs", {"choices": [{"text": "ab", "logprobs": {"token_logprobs": [-1.0, -0.5]}}]}),
        (LlamaCpp(), "n_probs", {"content": "ab", "completion_probabilities": [{"logprob": -1.0}, {"logprob": -0.5}]}),
        (Mistral(), "logprobs", {"choices": [{"delta": {"content": "ab"}, "logprobs": {"content": [{"logprob": -1.0}, {"logprob": -0.5}]}}]}),
        (Ollama(), "logprobs", {"response": "ab", "logprobs": [{"logprob": -1.0}, {"logprob": -0.5}]}),
    ],
)
def test_servers_are_asked_for_probabilities_where_they_are_of_use(dialect: Any, name: str, message: dict[str, Any]) -> None:
    facts = Facts(model="m", mode="suffix")
    assert name in dialect.completion(PROMPT, facts).body
    assert name not in dialect.completion(Prompt(slot="a", prefix="x = ", suffix="\n"), facts).body
    assert dialect.read(message).logprob == -1.5


def test_a_chat_model_is_asked_in_the_words_of_its_own_api() -> None:
    assert OpenAi().completion(PROMPT, Facts(model="m", mode="chat")).body["logprobs"] is True
