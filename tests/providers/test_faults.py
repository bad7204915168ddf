"""What a broken network or server does to a request: an ordinary failure, in time, in a sentence, and the next provider's turn."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_peers import PIECES, LlamaServer
from asking import chain_of, gather, prompt, settings_for
from fault_proxy import FAULTS, FaultProxy
from http_peer import Answer, Peer, Request

from infill.ask import Event, Finish, Report, Stop
from infill.errors import ProviderError, ProviderRefused, ProviderUnavailable
from infill.providers import setup
from infill.providers.chain import Chain

SLACK = 1.5
"""Seconds that a busy machine may add to a deadline before a test says that it was missed."""


async def outcome_of(events: AsyncIterator[Event]) -> tuple[ProviderError | None, tuple[str, Finish, Report] | None]:
    try:
        return None, await gather(events)
    except ProviderError as exc:
        return exc, None


HARMLESS = {"fine", "slow first byte", "byte by byte", "slow stream"}
TOLD = {"redirect", "too many requests"}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in HARMLESS])
async def test_a_fault_is_an_ordinary_failure_within_the_deadline(fault: str) -> None:
    async with Peer(LlamaServer()) as peer, FaultProxy(peer.port, lambda: fault) as proxy:
        chain = chain_of("llamacpp", proxy.url, timeoutMs=500)
        began = time.monotonic()
        trouble, answer = await outcome_of(chain.complete(prompt(stop=Stop(deadline_ms=500, max_tokens=8))))
        if trouble is not None:
            exc = trouble
            assert type(exc).__mro__[1 if type(exc).__name__ == "Throttled" else 0] is (ProviderRefused if fault in TOLD else ProviderUnavailable)
            assert "llamacpp:lab" in exc.message
            assert "\x1b" not in str(exc)
            assert "secret" not in str(exc)
        else:
            assert answer is not None
            text, finish, report = answer
            assert (finish.why, text[:1]) in {("stopped", "a"), ("length", "x"), ("deadline", "a")}
            assert fault == "endless text" or "llamacpp:lab" in report.notes[-1]
        assert time.monotonic() - began < 0.5 + SLACK
        await chain.aclose()


@pytest.mark.parametrize("fault", sorted(HARMLESS))
async def test_a_slow_answer_is_an_answer(fault: str) -> None:
    async with Peer(LlamaServer()) as peer, FaultProxy(peer.port, lambda: fault, delay=0.004) as proxy:
        chain = chain_of("llamacpp", proxy.url)
        text, finish, _ = await gather(chain.complete(prompt(stop=Stop(deadline_ms=20_000))))
        await chain.aclose()
    assert (text, finish.why) == ("a + b", "end")


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in {*HARMLESS, "endless text"}])
async def test_the_next_provider_answers_what_the_first_could_not(fault: str) -> None:
    async with Peer(LlamaServer()) as peer, FaultProxy(peer.port, lambda: fault) as proxy:
        told: list[Exception] = []
        remote = {"bad": {"kind": "llamacpp", "url": proxy.url, "timeoutMs": 300}, "good": {"kind": "llamacpp", "url": peer.url}}
        chain = setup.chain(settings_for(["llamacpp:bad", "llamacpp:good"], remote), None, tell=told.append)
        text, _, report = await gather(chain.complete(prompt()))
        await chain.aclose()
    assert (text, report.provider) == ("a + b", "llamacpp:good")
    assert report.notes[0].startswith("llamacpp:bad")
    assert len(told) == (1 if fault in TOLD else 0)


async def test_nobody_listening_is_told_apart_from_silence() -> None:
    chain = chain_of("llamacpp", "http://127.0.0.1:9")
    with pytest.raises(ProviderUnavailable, match=r"not reachable at 127\.0\.0\.1:9"):
        await gather(chain.complete(prompt()))
    await chain.aclose()


async def test_half_a_character_at_the_end_of_a_chunk_is_joined_with_its_other_half() -> None:
    async def halves(request: Request, answer: Answer) -> None:
        await answer.head(kind="text/event-stream")
        data = 'data: {"content": "é😀", "stop": false}\n\ndata: {"content": "\\ud83d", "stop": false}\n\ndata: {"content": "\\ude00", "stop": true}\n\n'.encode()
        for position in range(0, len(data), 3):
            await answer.chunk(data[position : position + 3])
        await answer.end()

    async with Peer(halves) as peer:
        chain = chain_of("llamacpp", peer.url)
        text, _, _ = await gather(chain.complete(prompt()))
        await chain.aclose()
    assert text == "é😀😀"


async def test_control_characters_of_an_answer_are_not_passed_on() -> None:
    async def painted(request: Request, answer: Answer) -> None:
        said = ["x = \x1b[3", "1m1\x1b[0m\x07", "\u202e2\u2066", "\x1b]8;;http://evil.invalid\x1b\\link\x00", "\r\ny\n"]
        await answer.events(*({"content": piece, "stop": False} for piece in said), {"content": "", "stop": True}, done=False)

    async with Peer(painted) as peer:
        chain = chain_of("llamacpp", peer.url)
        text, _, _ = await gather(chain.complete(prompt()))
        await chain.aclose()
    assert text == "x = 12link\ny\n"


async def test_a_storm_of_errors_opens_the_breaker_and_costs_nothing_more() -> None:
    async with Peer(LlamaServer()) as peer, FaultProxy(peer.port, lambda: "busy") as proxy:
        remote = {"bad": {"kind": "llamacpp", "url": proxy.url}, "good": {"kind": "llamacpp", "url": peer.url}}
        chain = setup.chain(settings_for(["llamacpp:bad", "llamacpp:good"], remote), None)
        for _ in range(20):
            _, _, report = await gather(chain.complete(prompt()))
        await chain.aclose()
    assert len(proxy.met) == 3
    assert "left alone" in report.notes[0]


async def test_trouble_in_the_middle_of_a_stream_is_the_servers_own_words() -> None:
    async def failing(request: Request, answer: Answer) -> None:
        await answer.events({"error": {"code": 500, "message": "CUDA out of memory"}}, done=False)

    async with Peer(failing) as peer:
        chain = chain_of("llamacpp", peer.url)
        with pytest.raises(ProviderUnavailable, match="CUDA out of memory"):
            await gather(chain.complete(prompt()))
        await chain.aclose()


# ---- the walk


class Walker:
    """Types into a document before a chain of three providers, each behind a proxy that draws a fault for every connection."""

    def __init__(self, seed: int, requests: int) -> None:
        self.random = random.Random(seed)
        self.requests = requests
        self.outcomes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.late = 0.0
        """Seconds that the worst request took beyond its deadline."""

    def met(self) -> int:
        """Connections that were not fine."""
        return sum(self.faults.values()) - self.faults["fine"]

    def draw(self) -> str:
        return self.random.choice((*FAULTS, *["fine"] * 8))

    async def walk(self, port: int) -> None:
        proxies = [FaultProxy(port, self.draw, delay=0.01) for _ in range(3)]
        async with proxies[0], proxies[1], proxies[2]:
            remote = {f"p{number}": {"kind": "llamacpp", "url": proxy.url, "timeoutMs": 150} for number, proxy in enumerate(proxies)}
            order = [f"llamacpp:{name}" for name in remote]
            chain = setup.chain(settings_for(order, remote, providers={"hedgeMs": self.random.choice([0, 40])}), None, clock=self._clock)
            typed = ""
            for number in range(self.requests):
                typed += self.random.choice("abc (\n")
                self._skew = number * 400.0  # breakers stay open for minutes: time passes between keystrokes, so that each fault is met
                await self._request(chain, f"def f():\n    {typed}")
            await chain.aclose()
        for proxy in proxies:
            self.faults.update(proxy.met)

    _skew = 0.0

    def _clock(self) -> float:
        return time.monotonic() + self._skew

    async def _request(self, chain: Chain, prefix: str) -> None:
        deadline = self.random.choice([120, 250, 400])
        task = asyncio.ensure_future(gather(chain.complete(prompt(prefix=prefix, stop=Stop(deadline_ms=deadline, max_tokens=8)))))
        leaves = self.random.random() < 0.2
        began = time.monotonic()
        if leaves:
            await asyncio.wait([task], timeout=self.random.random() * deadline / 1000)
            task.cancel()
        await asyncio.wait([task])
        self.late = max(self.late, time.monotonic() - began - deadline / 1000)
        self.outcomes[_outcome(task)] += 1


def _outcome(task: asyncio.Task[Any]) -> str:
    if task.cancelled():
        return "cancelled"
    if (trouble := task.exception()) is None:
        text, finish, _ = task.result()
        assert finish.why != "end" or text == "".join(PIECES)
        return "answered"
    assert isinstance(trouble, ProviderError), trouble
    return "nobody could"


@pytest.mark.slow
async def test_five_hundred_faults_under_typing_end_in_exactly_one_outcome_each(caplog: pytest.LogCaptureFixture) -> None:
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))
    caplog.set_level(logging.DEBUG, logger="infill")
    async with Peer(LlamaServer()) as peer:
        await Walker(0, 40).walk(peer.port)
        peer.requests.clear()
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        walkers = [Walker(seed, 125) for seed in range(1, 5)]
        await asyncio.gather(*(walker.walk(peer.port) for walker in walkers))
        # on a busy machine more deadlines pass before the second provider is asked, and fewer faults are met
        while sum(walker.met() for walker in walkers) < 500 and len(walkers) < 10:
            walkers.append(Walker(len(walkers) + 1, 125))
            await walkers[-1].walk(peer.port)
        peer.requests.clear()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    faults: Counter[str] = sum((walker.faults for walker in walkers), Counter())
    outcomes: Counter[str] = sum((walker.outcomes for walker in walkers), Counter())
    report = {"outcomes": dict(outcomes), "faults": sum(faults.values()) - faults["fine"], "late": max(w.late for w in walkers), "grown": grown}
    assert sum(outcomes.values()) == 125 * len(walkers), report
    assert report["faults"] >= 500, report
    assert set(faults) == set(FAULTS), report
    assert outcomes["answered"] > 0, report  # how many depends on how busy the machine is: deadlines are short
    assert report["late"] < SLACK, report
    assert grown < 2_000_000, report
    assert not unheard, unheard
    assert not [record for record in caplog.records if record.exc_info], "a traceback reached the log"
    print(report)  # noqa: T201 (figures for docs/develop/reliability.md: pytest -s shows them)
