"""The real llama-server with the bundled model; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import real_servers
from asking import chain_of, gather, prompt

from infill import paths
from infill.ask import Instruction, Message, Snippet, Stop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def llama_server() -> Iterator[str]:
    with real_servers.llama_server(paths.bundled_model(), "-c", "768", "--spm-infill") as url:
        yield url


async def test_llama_server_completes_with_other_files_and_keeps_its_cache(llama_server: str) -> None:
    chain = chain_of("llamacpp", llama_server, timeoutMs=60_000)
    asked = prompt(snippets=(Snippet("util.py", "def twice(x):\n    return 2 * x\n"),), stop=Stop(max_tokens=8, deadline_ms=60_000))
    text, _, first = await gather(chain.complete(asked))
    _, _, second = await gather(chain.complete(asked))
    await chain.aclose()
    assert text.strip()
    assert first.timings.tokens_evaluated > second.timings.tokens_evaluated


async def test_llama_server_says_which_model_it_has_and_follows_instructions(llama_server: str) -> None:
    chain = chain_of("llamacpp", llama_server, timeoutMs=60_000)
    models = await chain.find("llamacpp:lab").models()  # type: ignore[union-attr]
    text, _, _ = await gather(
        chain.generate(Instruction(slot="g", messages=(Message("user", "hello"),), stop=Stop(max_tokens=8, deadline_ms=60_000)))
    )
    await chain.aclose()
    assert len(models) == 1
    assert text
