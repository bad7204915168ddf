"""`infill bench speed`: speed and memory of models on this machine: loading, prompt processing, generation, first token, memory.

Local models are measured in a private engine; other providers as configured, through the same interface as completions.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from infill.ask import Delta, Prompt, Report, Stop
from infill.bench import metrics, traces
from infill.bench.drive import Driven, engine
from infill.bench.processes import resident
from infill.bench.weights import Weights
from infill.engine.protocol import ModelStatus
from infill.errors import InfillError
from infill.providers.base import Provider
from infill.settings import Engine

PROMPT_TOKENS, GENERATED_TOKENS = 512, 64
"""The same as llama-bench's pp512 and tg64."""
SHORT_CHARACTERS = 60
"""Length of a prompt with very few tokens, for generation and the first token."""


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one model or provider; 0 if unknown."""

    name: str
    provider: str
    load_ms: float = 0.0
    first_token_ms: float = 0.0
    """With a short prompt that is not in the KV cache."""
    evaluate_per_second: float = 0.0
    generate_per_second: float = 0.0
    resident_bytes: int = 0
    """Of the process that runs the model, during generation."""
    plan: str = ""
    threads: int = 0
    bench_evaluate: float = 0.0
    bench_generate: float = 0.0
    """llama-bench's result with the same file and number of threads."""

    @property
    def evaluate_ratio(self) -> float:
        return self.evaluate_per_second / self.bench_evaluate if self.bench_evaluate else 0.0

    @property
    def generate_ratio(self) -> float:
        return self.generate_per_second / self.bench_generate if self.bench_generate else 0.0


async def local(measured: Weights, options: Engine, rounds: int, program: Path | None, say: Callable[[str], None]) -> Speed:
    """The figures of a file. llama-bench runs before and after, so that both sides meet the same load."""
    text = traces.default().text
    async with engine(measured, options) as driven:
        threads = options.threads or await _threads(driven)
        depth = (await driven.ask(shuffled(text, -1)[:SHORT_CHARACTERS], tokens=1)).done.timings.tokens_evaluated
    before = llama_bench(program, measured, threads, rounds, say, depth=depth)
    say(f"{measured.name}: {rounds} rounds in the engine ...")
    async with engine(measured, options) as driven:
        evaluations, generations, firsts, size = await _rounds(driven, text, rounds, measured)
        status = await driven.client.status()
        load_ms = driven.load_ms
    after = llama_bench(program, measured, threads, rounds, say, depth=depth)
    return Speed(
        name=measured.name,
        provider="local",
        load_ms=round(load_ms, 1),
        first_token_ms=round(metrics.percentile(firsts, 0.5), 2),
        evaluate_per_second=round(metrics.percentile(evaluations, 0.5), 1),
        generate_per_second=round(metrics.percentile(generations, 0.5), 2),
        resident_bytes=size,
        plan=status.models[0].plan if status.models else "",
        threads=threads,
        bench_evaluate=round((before[0] + after[0]) / 2, 1),
        bench_generate=round((before[1] + after[1]) / 2, 2),
    )


async def _threads(driven: Driven) -> int:
    """The number of threads in the engine's plan."""
    return threads_of((await driven.client.status()).models)


def threads_of(models: Sequence[ModelStatus]) -> int:
    """The number of threads in the first model's plan; 0 if it has none."""
    found = re.search(r"(\d+) threads?", models[0].plan) if models else None
    return int(found[1]) if found else 0


async def _rounds(driven: Driven, text: str, rounds: int, measured: Weights) -> tuple[list[float], list[float], list[float], int]:
    evaluations, generations, firsts, size = [], [], [], 0
    tokens = min(PROMPT_TOKENS, measured.trained_context * 2 // 3)
    characters = await _characters_for(driven, shuffled(text, -1), tokens)
    for number in range(rounds + 1):
        # one slot for all: other documents in the cache slow down attention, and llama-bench starts with an empty cache
        whole = await driven.ask(shuffled(text, number)[:characters], tokens=1)
        short = await driven.ask(shuffled(text, -2 - number)[:SHORT_CHARACTERS], tokens=GENERATED_TOKENS)
        size = max(size, resident(psutil.Process(driven.client.pid)))
        spent, made = whole.done.timings, short.done.timings
        # the first round warms up processor and caches
        if number and spent.evaluate_ms and made.generate_ms:
            evaluations.append(spent.tokens_evaluated / spent.evaluate_ms * 1000)
            # from the first token to the last, with everything done between two tokens
            generations.append((made.tokens_generated - 1) / (made.total_ms - made.waited_ms - made.first_token_ms) * 1000)
            firsts.append(made.first_token_ms)
    if not evaluations:
        raise InfillError(f"{measured.name} gave no timings.")
    return evaluations, generations, firsts, size


def shuffled(text: str, seed: int) -> str:
    """The words of the text in another order: a prompt that is not in the cache."""
    words = text.split()
    random.Random(seed).shuffle(words)
    return " ".join(words)


async def _characters_for(driven: Driven, text: str, tokens: int) -> int:
    """The number of characters that give about this many tokens; the first request also warms up the processor."""
    asked = await driven.ask(text[:1000], tokens=1)
    return min(len(text), int(tokens * 1000 / max(1, asked.done.timings.tokens_evaluated)))


def llama_bench(
    program: Path | None, measured: Weights, threads: int, rounds: int, say: Callable[[str], None], generated: int = GENERATED_TOKENS, depth: int = 0
) -> tuple[float, float]:
    """Tokens per second of prompt processing, and of generation after a prompt of `depth` tokens, which attention reads for every token."""
    if program is None or not threads:
        return 0.0, 0.0
    say(f"{measured.name}: llama-bench with {threads} threads ...")
    tokens = min(PROMPT_TOKENS, measured.trained_context * 2 // 3)
    together = ["-m", str(measured.path), "-t", str(threads), "-r", str(rounds), "-o", "json"]
    evaluation = _run(program, [*together, "-p", str(tokens), "-n", "0"])
    return evaluation, _run(program, [*together, "-p", "0", "-n", str(generated), "-d", str(depth)])


def _run(program: Path, arguments: list[str]) -> float:
    done = subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InfillError("llama-bench failed.", done.stderr[-300:])
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return float(found[0]["avg_ts"])


async def remote(name: str, provider: Provider, rounds: int, say: Callable[[str], None]) -> Speed:
    """The figures of a remote provider: what the client can measure and what the server reports."""
    say(f"{name}: {rounds} rounds ...")
    text = traces.default().text
    firsts, generations, evaluations = [], [], []
    for number in range(rounds):
        prompt = Prompt(slot=f"bench-{number}", prefix=f"# {number}\n{text[:1500]}", suffix="\n", stop=Stop(max_tokens=GENERATED_TOKENS))
        began, first, pieces = time.perf_counter(), 0.0, 0
        async for event in provider.complete(prompt):
            if isinstance(event, Delta):
                first = first or time.perf_counter() - began
                pieces += 1
            elif isinstance(event, Report):
                spent, told = time.perf_counter() - began, event.timings
                made = told.tokens_generated or pieces
                generations.append(made / (told.generate_ms / 1000 or max(spent - first, 0.001)))
                if told.evaluate_ms:
                    evaluations.append(told.tokens_evaluated / told.evaluate_ms * 1000)
        firsts.append(first * 1000)
    return Speed(
        name=name,
        provider=provider.name,
        first_token_ms=round(metrics.percentile(firsts, 0.5), 1),
        evaluate_per_second=round(metrics.percentile(evaluations, 0.5), 1),
        generate_per_second=round(metrics.percentile(generations, 0.5), 1),
    )
