"""Measures how fast a model runs on this machine, in a separate process, for recommendations and tuning.

    python -m infill.engine.measure quick BUNDLED.gguf THREADS      one line of JSON: tokens per second, and bytes per second of memory
    python -m infill.engine.measure plans MODEL.gguf                plans as JSON lines on stdin, a result for each on stdout

Exits when stdin is closed, so that it does not use the processor after its parent process has ended.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

import msgspec

from infill.engine.llama import Context, Model
from infill.errors import InfillError
from infill.models.fit import Plan

EVALUATED, GENERATED = 256, 24
"""Tokens of one measurement."""
QUICK_GENERATED = 400
COPY_BYTES = 128 * 1024 * 1024
COPIES = 5


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The speeds of one plan, or the error."""

    evaluate_per_second: float = 0.0
    generate_per_second: float = 0.0
    load_seconds: float = 0.0
    received: float = 1.0
    """Share of its threads' CPU time that the computation received; 1 if a GPU computes."""
    error: str = ""


def measure(path: Path, plan: Plan, evaluated: int = EVALUATED, generated: int = GENERATED) -> Result:
    """Load the model by this plan, evaluate, generate, and free everything."""
    began = time.perf_counter()
    try:
        model = Model(path, plan, lambda _: True)
    except InfillError as exc:
        return Result(error=exc.message)
    try:
        context = Context(model, plan, 2)
    except InfillError as exc:
        model.close()
        return Result(error=exc.message)
    loaded = time.perf_counter() - began
    try:
        evaluated = min(evaluated, context.size // 2)
        words = [100 + number * 37 % (model.vocabulary - 200) for number in range(evaluated)]
        context.decode(words[:8], 0, 0, outputs=1)  # not timed: the first batch includes one-time initialization
        context.logits(-1)
        context.remove(0)
        cpu = time.process_time()
        evaluate, generate = _evaluate(context, words), _generate(context, evaluated, generated)
        cpu = time.process_time() - cpu
        wanted = evaluated / evaluate * plan.threads_batch + generated / generate * plan.threads
        received = 1.0 if plan.gpu_layers else cpu / wanted
        return Result(evaluate_per_second=evaluate, generate_per_second=generate, load_seconds=loaded, received=received)
    except InfillError as exc:
        return Result(error=exc.message)
    finally:
        context.close()
        model.close()


def _evaluate(context: Context, words: list[int]) -> float:
    began = time.perf_counter()
    for start in range(0, len(words), context.largest_batch):
        context.decode(words[start : start + context.largest_batch], start, 0, outputs=1)
    context.logits(-1)
    return len(words) / (time.perf_counter() - began)


def _generate(context: Context, start: int, count: int) -> float:
    began = time.perf_counter()
    for position in range(start, start + count):
        context.decode([int(context.logits(-1).argmax())], position, 0, outputs=1)
    context.logits(-1)
    return count / (time.perf_counter() - began)


def copied_per_second() -> float:
    """Bytes per second when copying memory that is in no cache."""
    source, target = ctypes.create_string_buffer(COPY_BYTES), ctypes.create_string_buffer(COPY_BYTES)
    fastest = float("inf")
    for _ in range(COPIES):
        began = time.perf_counter()
        ctypes.memmove(target, source, COPY_BYTES)
        fastest = min(fastest, time.perf_counter() - began)
    return COPY_BYTES / fastest


def main(arguments: list[str]) -> int:
    out = os.dup(1)
    os.dup2(2, 1)
    path = Path(arguments[1])
    if arguments[0] == "quick":
        threads = int(arguments[2])
        # a short context of its own; the fastest of a few tries counts, because other programs use the processor too
        plan = Plan(context=1024, threads=threads, threads_batch=threads)
        tries = [measure(path, plan, 64, QUICK_GENERATED) for _ in range(3)]
        if error := tries[0].error:
            os.write(2, error.encode())
            return 1
        best = max(tries, key=lambda each: each.generate_per_second)
        found = {"bundled_per_second": best.generate_per_second, "copied_per_second": copied_per_second(), "received": best.received}
        os.write(out, msgspec.json.encode(found) + b"\n")
        return 0
    for line in sys.stdin.buffer:
        result = measure(path, msgspec.json.decode(line, type=Plan))
        os.write(out, msgspec.json.encode(result) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
