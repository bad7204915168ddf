"""`infill bench typing`: plays a trace to infill and to the peer alternately, several times. Measures only; prints nothing."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from infill.bench import metrics
from infill.bench.metrics import Figures
from infill.bench.ours import InfillEditor, settings_for
from infill.bench.peer import LlamaVim
from infill.bench.recorder import Moment, Recorder
from infill.bench.trace import Trace
from infill.bench.typist import Costs, Editor, Typist
from infill.bench.weights import Weights, home


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a run."""

    runs: int = 3
    threads: int | None = None
    """Threads on both sides; None: each side's default."""
    tokens: int | None = None
    """Maximum number of generated tokens on both sides, the peer past end-of-text too; None: each side's default."""
    peer: str = ""
    """Path of llama-server; empty: infill alone."""
    settings: dict[str, Any] = {}
    """More settings for infill, to measure their effect."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One played trace."""

    side: str
    model: str
    number: int
    figures: Figures
    costs: Costs
    moments: tuple[Moment, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All runs of one model."""

    model: str
    runs: tuple[Run, ...]

    def of(self, side: str) -> list[Run]:
        return [run for run in self.runs if run.side == side]

    def figures(self, side: str) -> list[Figures]:
        return [run.figures for run in self.of(side)]

    def moments(self, side: str) -> list[list[Moment]]:
        return [list(run.moments) for run in self.of(side)]


async def compare(measured: Weights, trace: Trace, wishes: Wishes, say: Callable[[str], None]) -> Comparison:
    """Play the trace `runs` times to each side. Both sides alternate, so that other load on the machine affects both."""
    sides = ["infill", "llama-server"] if wishes.peer else ["infill"]
    runs = []
    for number in range(1, wishes.runs + 1):
        for side in sides if number % 2 else reversed(sides):
            say(f"{measured.name}: {side}, run {number} of {wishes.runs} ({trace.seconds:.0f} s of typing) ...")
            runs.append(await _play(side, measured, trace, wishes, number))
    return Comparison(model=measured.name, runs=tuple(runs))


async def _play(side: str, measured: Weights, trace: Trace, wishes: Wishes, number: int) -> Run:
    with home(measured) as folder:
        recorder = Recorder()
        editor = _editor(side, measured, folder, recorder, wishes)
        # garbage collection must not pause the bench during a measurement
        gc.collect()
        gc.disable()
        try:
            await Typist(trace, editor, recorder).play()
        finally:
            gc.enable()
            costs = await editor.close()
    return Run(side=side, model=measured.name, number=number, figures=metrics.figures(recorder.moments), costs=costs, moments=tuple(recorder.moments))


def _editor(side: str, measured: Weights, folder: Path, recorder: Recorder, wishes: Wishes) -> Editor:
    if side == "infill":
        return InfillEditor(folder, settings_for(measured, wishes.threads, wishes.tokens, wishes.settings), recorder)
    return LlamaVim(Path(wishes.peer), measured, folder, recorder, wishes.threads, wishes.tokens)


def middle(values: Sequence[float]) -> float:
    """The median over runs."""
    return metrics.percentile(values, 0.5)
