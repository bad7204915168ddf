"""What one llama-server gives a team: `python tests/providers/measure_team.py EDITORS KEYS`, with INFILL_LLAMA_SERVER set. Not a test.

Each editor types KEYS keys as fast as it is answered, four tokens for each. Printed: requests per second, median and 95th percentile of the latency, and
the share of prompt tokens that the server took from its cache (its own `usage` counts all, `/metrics` counts what it evaluated).
"""

# ruff: noqa: T201 (figures are printed)

from __future__ import annotations

import asyncio
import re
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import real_servers
from asking import gather, prompt, settings_for

from infill import paths
from infill.ask import Stop
from infill.bench import metrics
from infill.providers import setup
from infill.providers.chain import Chain

BEFORE = "".join(f"def area_{number}(width, height):\n    return width * height\n\n\n" for number in range(12))
TYPED = "def volume(width, height, depth):\n    return width * height * depth\n"


async def typed(chain: Chain, editor: int, keys: int) -> tuple[list[float], int]:
    """Seconds of each answer, and the prompt tokens that were sent."""
    seconds, tokens = [], 0
    for key in range(1, keys + 1):
        asked = prompt(
            slot="s", prefix=f"# {editor}\n{BEFORE}{TYPED[:key]}", suffix="\n\nprint(area_1(2, 3))\n", stop=Stop(max_tokens=4, deadline_ms=120_000)
        )
        began = time.perf_counter()
        _, _, report = await gather(chain.complete(asked))
        seconds.append(time.perf_counter() - began)
        tokens += report.timings.tokens_evaluated
    return seconds, tokens


def evaluated(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as reply:
        found = re.search(r"^llamacpp:prompt_tokens_total (\d+)", reply.read().decode(), re.MULTILINE)
    assert found
    return int(found[1])


async def main(editors: int, keys: int) -> None:
    options = ("-c", str(editors * 768), "-np", str(editors), "--metrics")
    with real_servers.llama_server(paths.bundled_model(), *options) as url:
        remote = {"a": {"kind": "openai", "url": f"{url}/v1", "family": "infill", "timeoutMs": 60_000}}
        chains = [setup.chain(settings_for(["openai:a"], remote), None, tell=print) for _ in range(editors)]
        began = time.perf_counter()
        answers = await asyncio.gather(*(typed(chain, number, keys) for number, chain in enumerate(chains)))
        spent = time.perf_counter() - began
        await asyncio.gather(*(chain.aclose() for chain in chains))
        computed = evaluated(url)
    seconds, sent = [value for times, _ in answers for value in times], sum(tokens for _, tokens in answers)
    median, slow = (metrics.percentile(seconds, share) * 1000 for share in (0.5, 0.95))
    print(f"{editors} editors, {len(seconds)} requests: {len(seconds) / spent:.1f} requests/s, median {median:.0f} ms, p95 {slow:.0f} ms")
    print(f"prompt tokens: {sent} sent, {computed} evaluated" + (f" ({1 - computed / sent:.1%} from the cache)" if sent else ""))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
