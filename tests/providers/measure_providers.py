"""Figures for docs/develop/reliability.md and the decision on hiding secrets: `python tests/providers/measure_providers.py [FILE]`. Not a test: nothing is judged here.

Best and median of many, in microseconds, each in this process; imports in fresh ones.
"""

# ruff: noqa: T201 (figures are printed)

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from api_peers import LlamaServer
from asking import settings_for
from http_peer import Peer

from infill.ask import Prompt
from infill.errors import ProviderUnavailable
from infill.privacy import secrets
from infill.providers import setup
from infill.providers.base import Limits
from infill.providers.chain import Chain
from infill.providers.fake import Fake
from infill.providers.race import Member

PROMPT = Prompt(slot="s", prefix="a", suffix="b")


def show(what: str, seconds: list[float]) -> None:
    print(f"{what:62} median {statistics.median(seconds) * 1e6:9.1f} us   best {min(seconds) * 1e6:9.1f} us   n {len(seconds)}")


def timed(call: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return taken


async def asked(provider: Chain | Fake, times: int) -> list[float]:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        with contextlib.suppress(ProviderUnavailable):
            async for _event in provider.complete(PROMPT):
                pass
        taken.append(time.perf_counter() - began)
    return taken


async def chains() -> None:
    dead = Fake([ProviderUnavailable("away")], name="dead", limits=Limits(remote=True))
    fine = Fake(["x\n"], name="fine")
    show("a provider by itself", await asked(fine, 1000))
    show("a chain of one", await asked(Chain([Member(fine)]), 1000))
    show("a chain of two, the first answers", await asked(Chain([Member(fine), Member(Fake(["y\n"], name="other"))]), 1000))
    two = Chain([Member(dead), Member(fine)])
    await asked(two, 5)
    assert two.members[0].breaker.state == "open"
    show("a chain of two, the first one's breaker open", await asked(two, 1000))
    show("  of that, looking at the open breaker", timed(two.members[0].absence, 10_000))
    alone = Chain([Member(dead)])
    await asked(alone, 5)
    show("a chain of one whose breaker is open", await asked(alone, 1000))
    async with Peer(LlamaServer()) as peer:
        chain = setup.chain(settings_for(["llamacpp:lab"], {"lab": {"kind": "llamacpp", "url": peer.url}}), None)
        await asked(chain, 5)
        show("a whole completion over HTTP on loopback (both ends in here)", await asked(chain, 300))
        await chain.aclose()


def masking(text: str) -> None:
    began = time.perf_counter()
    secrets._shapes()
    secrets._named(bare=False)
    print(f"{'import of the rules, in this process':62} {(time.perf_counter() - began) * 1e3:.0f} ms")
    window = text[:8000]
    show(f"masking {len(window)} characters, {window.count(chr(10))} lines, never seen", [_fresh(window) for _ in range(30)])
    show("  again, one line changed", [_changed(window, number) for number in range(300)])
    show("  again, nothing changed", timed(lambda: secrets.mask(window), 300))
    print(f"{'secrets found in it':62} {secrets.mask(window)[1]}")


def _fresh(window: str) -> float:
    secrets._spans.cache_clear()
    return timed(lambda: secrets.mask(window), 1)[0]


def _changed(window: str, number: int) -> float:
    lines = window.split("\n")
    lines[len(lines) // 2] = f"    value_{number} = other"
    return timed(lambda: secrets.mask("\n".join(lines)), 1)[0]


def imports() -> None:
    for module in ("infill.providers.setup", "infill.privacy.secrets; infill.privacy.secrets._shapes()", "httpx2", "keyring"):
        first = module.partition(";")[0]
        code = "\n".join(
            ["import time", "began = time.perf_counter()", f"import {first}", module.partition("; ")[2], "print(time.perf_counter() - began)"]
        )
        taken = [float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(5)]
        show(f"import {module}", taken)


if __name__ == "__main__":
    asyncio.run(chains())
    masking(Path(sys.argv[1] if len(sys.argv) > 1 else secrets.__file__).read_text("utf-8"))
    imports()
