"""Loads a file with a plan, evaluates a batch and prints llama.cpp's allocations as one line of JSON: `python loaded.py MODEL.gguf PLAN`.

{"buffers": {"CUDA0 model": bytes, "CUDA0 KV": bytes, "CPU compute": bytes, ...}, "gpu": bytes of GPU memory used while the file is loaded}
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from pathlib import Path

import msgspec

from infill.ask import Stop
from infill.engine.protocol import Complete
from infill.engine.runtime import Runtime
from infill.models import nvml
from infill.models.fit import MIB, Plan
from infill.models.store import ModelFile

BUFFER = re.compile(r"([\w.]+) +(model|KV|compute|output) buffer size = +([\d.]+) MiB")
PREFIX = "def f(x):\n    return x + 1\n" * 60


class Lines(logging.Handler):
    """Collects all lines that llama.cpp logs."""

    def __init__(self) -> None:
        super().__init__(1)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def used() -> int:
    """Bytes in use on all GPUs as reported by the driver; 0 without NVML."""
    return sum(int(card["total"]) - int(card["free"]) for card in nvml.cards())


def main() -> None:
    lines, log = Lines(), logging.getLogger("infill.llama")
    log.addHandler(lines)
    log.setLevel(1)
    path, plan = Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Plan)
    before = used()
    runtime = Runtime.load(ModelFile(id="x", title="x", path=path), plan, lambda _: True)
    stop = Stop(max_tokens=4, ignore_end=True, deadline_ms=300_000)
    list(runtime.complete(Complete(id=1, model="x", slot="a", prefix=PREFIX, suffix="", stop=stop)))
    buffers: dict[str, float] = {}
    for place, kind, size in BUFFER.findall("\n".join(lines.texts)):
        buffers[f"{place} {kind}"] = buffers.get(f"{place} {kind}", 0.0) + float(size) * MIB
    print(json.dumps({"buffers": buffers, "gpu": used() - before}), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # skips llama.cpp's destructors, as the self-test does
