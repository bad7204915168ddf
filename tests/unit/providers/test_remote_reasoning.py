"""Reasoning of remote models: asked to be off, read apart from the answer, and dropped in completions."""

from __future__ import annotations

import pytest

from infill.ask import Instruction, Message
from infill.errors import UnknownModel
from infill.providers.chain import Chain
from infill.providers.fake import Fake
from infill.providers.llamacpp import LlamaCpp
from infill.providers.mistral import Mistral
from infill.providers.ollama import Ollama
from infill.providers.openai import OpenAi
from infill.providers.parameters import Parameters
from infill.providers.race import Member


def asked(thinking: bool) -> Instruction:
    return Instruction(slot="s", messages=(Message("user", "Hello"),), thinking=thinking)


@pytest.mark.parametrize("thinking", [False, True])
def test_servers_are_told_whether_to_reason_in_their_own_way(thinking: bool) -> None:
    for dialect in (OpenAi(), LlamaCpp()):
        body = dialect.generation(asked(thinking), "m").body
        assert body["chat_template_kwargs"] == {"enable_thinking": thinking, "thinking": thinking}
    assert Ollama().generation(asked(thinking), "m").body["think"] is thinking
    assert "chat_template_kwargs" not in Mistral().generation(asked(thinking), "m").body


def test_openai_itself_is_not_sent_what_it_refuses() -> None:
    body = OpenAi().generation(asked(False), "m").body
    assert "chat_template_kwargs" not in Parameters("api.openai.com").adapted("/v1/chat/completions", body)
    other = Parameters("gateway.example.org")
    assert "chat_template_kwargs" in other.adapted("/v1/chat/completions", body)
    other.learn("/v1/chat/completions", body, "Unrecognized request argument supplied: chat_template_kwargs")
    assert "chat_template_kwargs" not in other.adapted("/v1/chat/completions", body)


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "Hm", "content": None},
        {"reasoning": "Hm"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]},
    ],
)
def test_reasoning_that_comes_apart_is_no_text_of_the_answer(delta: dict[str, object]) -> None:
    piece = OpenAi().read({"choices": [{"delta": delta}]})
    assert (piece.text, piece.reasoning) == ("", "Hm")


def test_ollamas_thinking_is_no_text_of_the_answer() -> None:
    piece = Ollama().read({"message": {"role": "assistant", "content": "", "thinking": "Hm"}, "done": False})
    assert (piece.text, piece.reasoning) == ("", "Hm")


async def test_no_other_provider_answers_for_a_model_of_one_that_is_not_in_use() -> None:
    chain = Chain([Member(Fake(["x = 1"]))])
    with pytest.raises(UnknownModel, match="openai:work/m"):
        async for _ in chain.generate(asked(False), "openai:work/m"):
            pass
