"""Generations from slow servers: waited for, and never answered by a model that follows no instructions; and how Ollama is treated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_peers import Ollama
from asking import gather, prompt, settings_for
from http_peer import Answer, Peer, Request

from infill.ask import Event, Instruction, Message, Stop
from infill.errors import NotAChatModel, ProviderError, ProviderUnavailable
from infill.providers import setup
from infill.providers.breaker import FAILURES
from infill.providers.chain import Chain
from infill.providers.fake import Fake
from infill.providers.race import Member
from infill.settings import Settings


class BaseModel(Fake):
    """The local provider with a model that has no chat template."""

    def follows_instructions(self, model: str) -> bool:
        return False

    def generate(self, instruction: Instruction, model: str = "") -> AsyncIterator[Event]:
        self.asked.append(instruction)

        async def refuse() -> AsyncIterator[Event]:
            raise NotAChatModel("tiny does not follow instructions: it has no chat template.")
            yield

        return refuse()


def instruction(deadline_ms: int = 8000) -> Instruction:
    return Instruction(slot="g", messages=(Message("user", "add"),), stop=Stop(max_tokens=20, deadline_ms=deadline_ms))


def chain_before_a_base_model(settings: Settings, **more: Any) -> tuple[Chain, BaseModel]:
    """The remote providers of these settings, with a base model behind them."""
    base = BaseModel(["rubbish\n"], name="local")
    members = setup.chain(settings, None).members
    return Chain([*members, Member(base)], **more), base


class Slow(Ollama):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, request: Request, answer: Answer) -> None:
        self.asked.set()
        await self.go.wait()
        await super().__call__(request, answer)


@pytest.mark.parametrize("hedge", [0, 10])
async def test_a_generation_waits_longer_than_completions_do(hedge: int) -> None:
    slow = Slow()
    async with Peer(slow) as peer:
        settings = settings_for(["ollama:o"], {"o": {"kind": "ollama", "url": peer.url, "model": "m", "timeoutMs": 100}})
        chain, base = chain_before_a_base_model(settings, hedge_ms=hedge)
        asked = asyncio.ensure_future(gather(chain.generate(instruction())))
        await slow.asked.wait()
        await asyncio.wait([asked], timeout=0.3)  # three times what a completion is given
        assert not asked.done()
        slow.go.set()
        text, _, report = await asked
        await chain.aclose()
    assert (text, report.provider) == ("a + b", "ollama:o")
    assert not base.asked


async def test_a_server_that_stays_slow_is_named_and_no_base_model_answers_for_it() -> None:
    slow = Slow()
    async with Peer(slow) as peer:
        settings = settings_for(["ollama:o"], {"o": {"kind": "ollama", "url": peer.url, "model": "m", "timeoutMs": 100}})
        chain, base = chain_before_a_base_model(settings)
        with pytest.raises(ProviderUnavailable, match=r"ollama:o did not answer within 0\.\d s"):
            await gather(chain.generate(instruction(400)))
        await chain.aclose()
    assert not base.asked


async def test_completions_that_were_too_slow_do_not_keep_a_generation_from_the_server() -> None:
    slow = Slow()
    async with Peer(slow) as peer:
        settings = settings_for(["ollama:o"], {"o": {"kind": "ollama", "url": peer.url, "model": "m", "family": "suffix", "timeoutMs": 100}})
        chain, _base = chain_before_a_base_model(settings)
        for _ in range(FAILURES):
            assert (await gather(chain.complete(prompt())))[0] == "rubbish\n"
        assert chain.members[0].breaker.state == "open"
        slow.go.set()
        assert (await gather(chain.generate(instruction())))[2].provider == "ollama:o"
        await chain.aclose()


async def test_a_server_that_is_not_there_is_told_from_a_slow_one() -> None:
    """Then what the local model can do is better than nothing; whoever asks is told that it follows no instructions."""
    chain, base = chain_before_a_base_model(settings_for(["ollama:o"], {"o": {"kind": "ollama", "url": "http://127.0.0.1:9", "model": "m"}}))
    with pytest.raises(NotAChatModel):
        await gather(chain.generate(instruction()))
    await chain.aclose()
    assert base.asked


async def test_another_server_that_follows_instructions_takes_over_from_a_slow_one() -> None:
    slow = Slow()
    async with Peer(slow) as one, Peer(Ollama()) as two:
        remote = {name: {"kind": "ollama", "url": peer.url, "model": "m"} for name, peer in (("one", one), ("two", two))}
        chain, base = chain_before_a_base_model(settings_for(["ollama:one", "ollama:two"], remote))
        assert (await gather(chain.generate(instruction(1500))))[2].provider == "ollama:two"
        await chain.aclose()
    assert not base.asked


async def test_all_that_went_wrong_is_said_where_one_was_slow_and_another_refused() -> None:
    async def refusing(request: Request, answer: Answer) -> None:
        await answer.whole({"error": "no"}, 401)

    slow = Slow()
    async with Peer(slow) as one, Peer(refusing) as two:
        remote = {name: {"kind": "ollama", "url": peer.url, "model": "m"} for name, peer in (("one", one), ("two", two))}
        chain, base = chain_before_a_base_model(settings_for(["ollama:one", "ollama:two"], remote))
        with pytest.raises(ProviderError, match=r"ollama:one did not answer within .*ollama:two does not accept the key"):
            await gather(chain.generate(instruction(600)))
        await chain.aclose()
    assert not base.asked


async def asked_of_ollama(more: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    """The bodies of a completion and a generation."""
    async with Peer(Ollama()) as peer:
        chosen = settings_for(["ollama:o"], {"o": {"kind": "ollama", "url": peer.url, "model": "m", **more}}, **settings)
        chain = setup.chain(chosen, None)
        completion, generation = chosen.completion.max_tokens, chosen.generate.max_tokens
        await gather(chain.complete(prompt(stop=Stop(max_tokens=completion, deadline_ms=4000))))
        stop = Stop(max_tokens=generation, deadline_ms=4000)
        await gather(chain.generate(Instruction(slot="g", messages=instruction().messages, stop=stop)))
        await chain.aclose()
    return [request.json for request in peer.requests if request.path in {"/api/generate", "/api/chat"}]


@pytest.mark.parametrize("longest", [64, 1024, 5000, 32_000])
async def test_ollama_is_asked_for_one_context_whatever_is_asked(longest: int) -> None:
    bodies = await asked_of_ollama({}, generate={"maxTokens": longest})
    contexts = {body["options"]["num_ctx"] for body in bodies}
    assert len(bodies) == 2
    assert len(contexts) == 1
    assert contexts.pop() >= longest + 2560


async def test_how_long_ollama_keeps_a_model_is_left_to_it_unless_it_is_set() -> None:
    assert all("keep_alive" not in body for body in await asked_of_ollama({}))
    assert all(body["keep_alive"] == "2h" for body in await asked_of_ollama({"keepAlive": "2h"}))
