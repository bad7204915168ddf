"""Real Ollama and real llama-server with a real chat model: generations, completions, cancelling and errors. Skipped where they are not installed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import real_servers
from asking import chain_of, gather, prompt

from infill import paths
from infill.ask import Delta, Instruction, Message, Stop
from infill.bench import ollama
from infill.bench.weights import Weights
from infill.errors import ProviderRefused
from infill.providers.chain import Chain
from infill.providers.trouble import CannotFill

pytestmark = pytest.mark.slow
PATIENCE = 120_000
LONG = Stop(max_tokens=1024, deadline_ms=PATIENCE)
"""As long as the settings' longest generation: Ollama loads a model anew for another context."""
SHORT = Stop(max_tokens=24, deadline_ms=PATIENCE)


def instruction(stop: Stop, words: str = "Write a Python function that adds two numbers.") -> Instruction:
    return Instruction(slot="g", messages=(Message("user", words),), stop=stop)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ollama_url() -> AsyncIterator[str]:
    """Ollama with SmolLM2 as its only model."""
    weights = Weights(name="smollm2", path=real_servers.smollm2(), suffix_first=False)
    async with ollama.served(real_servers.ollama_program(), weights, 1, LONG.max_tokens) as peer:
        await asyncio.to_thread(real_servers.create_mapped, peer.remote.line.url)
        yield peer.remote.line.url


@pytest.fixture(scope="module")
def llama_server_url() -> Iterator[str]:
    """llama-server with SmolLM2 and one slot."""
    with real_servers.llama_server(real_servers.smollm2(), "-c", "4096", "--jinja") as url:
        yield url


@contextlib.asynccontextmanager
async def asking(kind: str, url: str, *told: object, **endpoint: object) -> AsyncIterator[Chain]:
    model = {"model": real_servers.MODEL} if kind == "ollama" else {}
    chain = chain_of(kind, url, *told, timeoutMs=PATIENCE, **model, **endpoint)
    try:
        yield chain
    finally:
        await chain.aclose()


@pytest.fixture(params=["ollama", "llamacpp"])
def server(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The kind of a server, and its address."""
    return request.param, request.getfixturevalue("ollama_url" if request.param == "ollama" else "llama_server_url")


async def test_a_real_server_follows_an_instruction_without_reasoning(server: tuple[str, str]) -> None:
    async with asking(*server) as chain:
        text, finish, report = await gather(chain.generate(instruction(SHORT)))
    assert "def" in text
    assert "<think>" not in text
    assert finish.why == "length"
    assert 0 < report.timings.tokens_generated <= SHORT.max_tokens


async def test_a_cancelled_generation_frees_the_only_slot_of_a_real_server(server: tuple[str, str]) -> None:
    async with asking(*server) as chain:
        async with contextlib.aclosing(chain.generate(instruction(LONG, "Write a very long story about a river."))) as events:  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, Delta):
                    break
        text, _, report = await gather(chain.generate(instruction(SHORT)))
    assert text.strip()
    # behind the rest of the long answer it would have waited more than 40 times as long as its own tokens took
    assert report.timings.first_token_ms < 20 * (report.timings.total_ms - report.timings.first_token_ms)


async def test_a_real_server_says_that_its_model_cannot_fill_in(server: tuple[str, str]) -> None:
    async with asking(*server) as chain:
        with pytest.raises(CannotFill):
            await gather(chain.complete(prompt()))


async def test_a_real_llama_server_says_that_a_conversation_exceeds_its_context(llama_server_url: str) -> None:
    async with asking("llamacpp", llama_server_url) as chain:
        with pytest.raises(ProviderRefused, match="context"):
            await gather(chain.generate(instruction(SHORT, "word " * 6000)))


async def test_a_real_ollama_does_not_know_another_model(ollama_url: str) -> None:
    async with asking("ollama", ollama_url) as chain:
        with pytest.raises(ProviderRefused, match=r"does not know the model 'none:1b'"):
            await gather(chain.generate(instruction(SHORT), "ollama:lab/none:1b"))


async def test_a_real_llama_server_continues_through_its_openai_interface(llama_server_url: str) -> None:
    told: list[Exception] = []
    asked = prompt(
        prefix="def add(a, b):\n    return",
        suffix="\n\n\ndef subtract(a, b):\n    return a - b\n",
        stop=Stop(max_tokens=16, single_line=True, deadline_ms=PATIENCE),
    )
    async with asking("openai", f"{llama_server_url}/v1", told.append) as chain:
        text, _, report = await gather(chain.complete(asked))
    assert text.strip() == "a + b"
    assert any("continues only" in note for note in report.notes)
    assert len(told) == 1


async def test_a_real_ollama_completes_with_the_bundled_model() -> None:
    weights = Weights(name="bundled", path=paths.bundled_model(), suffix_first=True)
    async with (
        ollama.served(real_servers.ollama_program(), weights, 1, 64) as peer,
        asking("ollama", peer.remote.line.url, family="infill") as chain,
    ):
        await asyncio.to_thread(real_servers.create_mapped, peer.remote.line.url)
        text, _, report = await gather(chain.complete(prompt(stop=Stop(max_tokens=8, deadline_ms=PATIENCE))))
        models = await chain.find("ollama:lab").models()  # type: ignore[union-attr]
    assert text.strip()
    assert report.timings.tokens_generated > 0
    assert {model.name for model in models} == {f"{ollama.MODEL}:latest", f"{real_servers.MODEL}:latest"}
