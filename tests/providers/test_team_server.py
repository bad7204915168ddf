"""Sixteen editors on two real llama-servers, one of which is killed in the middle of an answer. Skipped where no llama-server is installed."""

from __future__ import annotations

import asyncio
import contextlib

import psutil
import pytest
import real_servers
from asking import gather, prompt, settings_for

from infill import paths
from infill.ask import Delta, Stop
from infill.providers import setup
from infill.providers.chain import Chain

pytestmark = pytest.mark.slow
TYPISTS, ROUNDS = 16, 3
STOP = Stop(max_tokens=4, deadline_ms=120_000)
OPTIONS = ("-c", "12288", "-np", "16", "--metrics")


def editor(urls: list[str]) -> Chain:
    """One editor's chain: the first server, then the second."""
    remote = {name: {"kind": "openai", "url": f"{url}/v1", "family": "infill", "timeoutMs": 60_000} for name, url in zip("ab", urls, strict=False)}
    return setup.chain(settings_for([f"openai:{name}" for name in remote], remote), None, tell=lambda error: None)


def server_at(url: str) -> psutil.Process:
    return next(child for child in psutil.Process().children() if url.rpartition(":")[2] in child.cmdline())


async def ask(chain: Chain, number: int, round_: int) -> str:
    """Who answered; what this editor has typed grows with each round."""
    asked = prompt(slot=f"s{number}", prefix=f"# {number}\ndef add(a, b):\n    return a" + " + b" * round_, stop=STOP)
    _, _, report = await gather(chain.complete(asked))
    return report.provider


async def test_sixteen_editors_are_answered_by_the_second_server_when_the_first_is_killed_in_mid_answer() -> None:
    bundled = paths.bundled_model()
    with real_servers.llama_server(bundled, *OPTIONS) as first, real_servers.llama_server(bundled, *OPTIONS) as second:
        chains = [editor([first, second]) for _ in range(TYPISTS)]
        try:
            before = await asyncio.gather(*(ask(chain, number, 0) for number, chain in enumerate(chains)))
            long = prompt(slot="long", prefix="x = [", stop=Stop(max_tokens=400, deadline_ms=120_000))
            async with contextlib.aclosing(chains[0].complete(long)) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        break
                server_at(first).kill()
                rest = [await asyncio.gather(*(ask(chain, number, 1 + turn) for number, chain in enumerate(chains[1:], 1))) for turn in range(ROUNDS)]
            last = await ask(chains[0], 0, ROUNDS)
        finally:
            await asyncio.gather(*(chain.aclose() for chain in chains))
    assert set(before) == {"openai:a"}
    assert {name for names in rest for name in names} == {"openai:b"}
    assert last == "openai:b"
