"""`infill doctor --kernels`: the self-test for several kinds of weights, with miniature models generated for it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from infill.cli.doctor import Finding
from infill.engine import trial
from infill.errors import InfillError
from infill.models import child, fit, gguf, hardware, kernels, miniature, quantize, tune
from infill.models.fit import Plan
from infill.models.store import ModelFile
from infill.settings import Engine

MEASURE_SECONDS = 120


def findings(*, again: bool) -> Iterator[Finding]:
    """One finding for each kind of weights: the kernels in use on this machine, and their speed. The files are removed at the end."""
    if again:
        kernels.forget()
    threads = fit.default_plan(Engine(), hardware.cpu().useful, has_gpu=False).threads
    plan = kernels.baseline(Plan(context=miniature.CONTEXT, threads=threads, threads_batch=threads))
    with tempfile.TemporaryDirectory(prefix="infill-") as folder:
        source = Path(folder) / "f16.gguf"
        miniature.write(source)
        for kind, quantization in miniature.KINDS.items():
            yield _finding(kind, quantization, source, plan)


def _finding(kind: str, quantization: str, source: Path, plan: Plan) -> Finding:
    try:
        return _tested(kind, _made(source, quantization), plan)
    except InfillError as exc:
        return Finding(about=f"{kind} weights", verdict="problem", detail=exc.message, next=exc.hint)


def _made(source: Path, quantization: str) -> Path:
    if quantization == "f16":
        return source
    target = source.with_name(f"{quantization}.gguf")
    quantize.quantize(source, target, quantization)
    return target


def _tested(kind: str, file: Path, plan: Plan) -> Finding:
    used = trial.verified(ModelFile(id=kind, title=f"{kind} weights", path=file), plan, lambda _: True)
    if kernels.result(used, gguf.facts(file)) is None:
        return Finding(about=f"{kind} weights", verdict="warning", detail="The self-test gave no result.", next="Free memory, and try again.")
    detail = f"computed rightly; {_speed(file, used)}"
    if used.restricted:
        return Finding(
            about=f"{kind} weights", verdict="warning", detail=f"{detail}. {used.restricted}", next="`infill build` makes another llama.cpp."
        )
    return Finding(about=f"{kind} weights", detail=detail)


def _speed(file: Path, plan: Plan) -> str:
    """The speed with the miniature model, comparable only between kinds of weights."""
    try:
        with child.running(child.python("-m", "infill.engine.measure", "plans", str(file))) as measuring:
            measuring.say(msgspec.json.encode(plan))
            found = msgspec.json.decode(measuring.line(MEASURE_SECONDS) or b"{}", type=tune.Speed)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError):
        return "not measured"
    return f"{found.evaluate_per_second:.0f} prompt tokens/s, {found.generate_per_second:.0f} generated tokens/s (miniature)"
