"""Tests in a separate process whether llama.cpp computes correctly by a plan: `python -m infill.engine.selftest MODEL.gguf PLAN`.

A batch and a single token are computed twice: plainly (CPU, one thread, no extra buffers, no flash attention), then by the plan. JSON lines on
stdout report the completed steps, so that after a crash the parent process knows the step:

    {"system": ...}                      llama.cpp is imported: the instruction sets that it was built for
    {"reference": seconds}               the plain computation is complete
    {"difference": x}                    so is the other: root mean square of the logits' difference, relative to their own; null: not finite
    {"error": sentence}                  the model cannot be loaded, so its kernels were not tested
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from infill.engine.llama import Context, Logits, Model, system_info
from infill.errors import InfillError
from infill.models.fit import Plan

BATCH = 19
"""Tokens of the batch: more than one group of every size that kernels use (4, 8, 16), and a remainder."""
CONTEXT = 256


def compute(path: Path, plan: Plan) -> Logits:
    """Logits after a batch, and after one more token: 2 rows, one column per token of the vocabulary. Raises InfillError."""
    model = Model(path, plan, lambda _: True)
    try:
        context = Context(model, plan, 1)
        try:
            words = [(100 + number * 37) % model.vocabulary for number in range(BATCH + 1)]
            context.decode(words[:BATCH], 0, 0, outputs=1)
            first = context.logits(-1).copy()
            context.decode(words[BATCH:], BATCH, 0, outputs=1)
            return np.stack([first, context.logits(-1).copy()])
        finally:
            context.close()
    finally:
        model.close()


def plain(plan: Plan) -> Plan:
    """The reference plan, which works on every processor."""
    return Plan(context=CONTEXT, mmap=plan.mmap, extra_buffers=False, flash_attention=False)


def difference(computed: Logits, reference: Logits) -> float | None:
    """The larger relative difference of the two rows; None if a value is not finite."""
    if not np.isfinite(computed).all():
        return None
    spread = (reference - reference.mean(axis=1, keepdims=True)).std(axis=1)
    return float(((computed - reference).std(axis=1) / np.maximum(spread, 1e-6)).max())


def main(arguments: list[str]) -> int:
    """Run the test and print its results; exits when the parent process closes stdin."""
    out = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(1)), daemon=True).start()

    def say(**facts: Any) -> None:
        os.write(out, msgspec.json.encode(facts) + b"\n")

    path, plan = Path(arguments[0]), msgspec.json.decode(arguments[1], type=Plan)
    say(system=system_info())
    try:
        began = time.monotonic()
        reference = compute(path, plain(plan))
        say(reference=time.monotonic() - began)
        short = msgspec.structs.replace(plan, context=CONTEXT, batch=min(plan.batch, CONTEXT), micro_batch=min(plan.micro_batch, CONTEXT))
        say(difference=difference(compute(path, short), reference))
    except InfillError as exc:
        say(error=exc.message)
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # skips llama.cpp's destructors: they are not needed and may crash
    os._exit(code)
