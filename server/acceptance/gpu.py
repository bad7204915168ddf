"""Runs the acceptance steps on a machine with a GPU, then writes gpu.json and the table gpu.md. Started by gpu.sh.

The other steps run even if one fails; steps for which no time is left are reported as not run. The exit code is 0 only if every step passed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

import steps
from infill.bench import machine
from infill.errors import InfillError
from infill.models import hardware
from steps import Failure, Given

ALL_SECONDS = 1380.0
"""For all steps: the whole script has 25 minutes."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one step."""

    name: str
    state: Literal["passed", "failed", "not run"]
    seconds: float
    sentence: str
    figures: dict[str, Any] = {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: the same steps with small models and without a build")
    parser.add_argument("--source", default="", help="source archive of llama-cpp-python")
    parser.add_argument("--out", type=Path, required=True, help="folder for gpu.json, gpu.md and the build")
    parser.add_argument("--step", action="append", choices=list(steps.ALL), help="run only this one; may be given several times")
    options = parser.parse_args()
    given = Given(device=options.device, source=options.source, out=options.out, deadline=time.monotonic() + ALL_SECONDS)
    results = []
    for name in options.step or steps.ALL:
        print(f"{name} ...", flush=True)
        results.append(run(name, given))
        print(f"  {results[-1].state} in {results[-1].seconds:.0f} s: {results[-1].sentence}", flush=True)
        write(options.out, options.device, results)
    return 0 if all(result.state == "passed" for result in results) else 1


def run(name: str, given: Given) -> Result:
    """Run one step; an exception becomes its result."""
    began = time.monotonic()
    if given.left() <= 0:
        return Result(name=name, state="not run", seconds=0.0, sentence=f"the {ALL_SECONDS / 60:.0f} minutes for all steps were used up")
    try:
        sentence, figures = asyncio.run(asyncio.wait_for(steps.ALL[name](given), given.left()))
        state: Literal["passed", "failed"] = "passed"
    except Failure as exc:
        state, sentence, figures = "failed", str(exc), exc.figures
    except (asyncio.TimeoutError, subprocess.TimeoutExpired):
        state, sentence, figures = "failed", "it did not end in time", {}
    except (InfillError, OSError, subprocess.SubprocessError, AssertionError) as exc:
        state, sentence, figures = "failed", f"{type(exc).__name__}: {exc}", {}
    return Result(name=name, state=state, seconds=round(time.monotonic() - began, 1), sentence=sentence, figures=figures)


def write(out: Path, device: str, results: list[Result]) -> None:
    """Write both files. Called after every step, so that results are kept if a later step crashes the machine."""
    here, found = machine.machine(), hardware.machine()
    facts = {"device": device, "machine": here, "gpus": found.gpus, "nvidia": found.nvidia, "llama_cpp": found.llama_cpp, "steps": results}
    (out / "gpu.json").write_bytes(msgspec.json.format(msgspec.json.encode(facts)))
    rows = [f"| {result.name} | {result.state} | {result.seconds:.0f} s | {result.sentence} |" for result in results]
    head = [f"{hardware.summary(found)}; device `{device}`.", "", "| step | result | time | what was measured |", "|---|---|---|---|"]
    (out / "gpu.md").write_text("\n".join([*head, *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # otherwise a thread that waits for a driver would keep the script running
