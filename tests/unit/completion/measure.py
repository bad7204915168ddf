"""What runs at each keystroke, in microseconds, on a document of 5,000 lines: `python tests/unit/completion/measure.py`. Not a test: nothing is judged."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import msgspec

from infill.completion import postprocess, prompt, trigger
from infill.completion.pipeline import Completer
from infill.completion.place import place_of
from infill.completion.types import CompletionRequest
from infill.providers.base import Limits
from infill.providers.fake import Fake
from infill.settings import Engine, Settings

LINES = 5000
SUGGESTION = "total = first_value + second_value\n    for item in items:\n        total += item.price * item.count\n    return total\n"


def document() -> str:
    return "".join(f"    value_{number} = compute(value_{number - 1}, {number % 97})  # step {number}\n" for number in range(LINES))


def at(text: str, index: int, typed: str = "") -> CompletionRequest:
    return CompletionRequest(uri="file:///big.py", path="big.py", language="python", prefix=text[:index] + typed, suffix="\n" + text[index:])


async def measure(name: str, work: Callable[[int], Awaitable[object]], times: int = 400) -> None:
    taken = []
    for number in range(times):
        started = time.perf_counter_ns()
        await work(number)
        taken.append((time.perf_counter_ns() - started) / 1000)
        await asyncio.sleep(0)
    taken.sort()
    sys.stdout.write(f"{name:46} median {statistics.median(taken):8.1f} us   p95 {taken[int(len(taken) * 0.95)]:8.1f} us   max {taken[-1]:8.1f} us\n")


async def main() -> None:
    text = document()
    middle = text.find("\n", len(text) // 2) + 1
    settings = Settings(engine=Engine(prefetch=False, warm=False))
    requests = [at(text, middle, "    " + SUGGESTION[: number % 100]) for number in range(400)]
    completer = Completer(Fake(["    ", SUGGESTION], limits=Limits(typical_ms=5)), settings)
    await completer.complete(at(text, middle, "    "))
    for number in range(500):  # a cache that is full of answers for the same place
        await completer.complete(at(text, middle, f"    x{number} = "))

    async def hit(number: int) -> object:
        outcome = await completer.complete(requests[number])
        assert outcome.source == "cache" and outcome.suggestions, (number, outcome, requests[number].line_before)
        return outcome

    await completer.complete(at(text, middle, "    "))
    await measure("complete(): type-through, from the cache", hit)
    await measure("complete(): miss, a provider that answers at once", lambda n: completer.complete(at(text, middle, f"    y{n} = ")))

    busy = Completer(Fake(["    total", asyncio.Event()], limits=Limits(typical_ms=5)), Settings())
    waiting = asyncio.ensure_future(busy.complete(at(text, middle, "    ")))
    await asyncio.sleep(0)

    async def changed(number: int) -> None:
        busy.changed(at(text, middle, "    total"[: 4 + number % 6]), typed=True)

    await measure("changed(): a running answer that still agrees", changed)
    await busy.aclose()
    await waiting
    idle = Completer(Fake(), Settings())

    async def warmed(number: int) -> None:
        idle.changed(requests[number], typed=True)

    await measure("changed(): to be evaluated ahead after a pause", warmed)
    await idle.aclose()

    async def refused(number: int) -> None:
        trigger.refuses(requests[number], settings)

    await measure("trigger", refused)

    async def built(number: int) -> None:
        prompt.build(requests[number], Limits(), settings)

    await measure("prompt", built)

    async def finished(number: int) -> None:
        text, _ = postprocess.cacheable("    " + SUGGESTION, place_of(requests[0]))
        postprocess.at_cursor(text, place_of(requests[0]))

    await measure("post-processing of a four-line answer", finished)
    big = msgspec.structs.replace(requests[0], neighbours=())
    await measure("place_of()", lambda n: _value(place_of(big)))
    await completer.aclose()


async def _value(value: object) -> object:
    return value


if __name__ == "__main__":
    asyncio.run(main())
