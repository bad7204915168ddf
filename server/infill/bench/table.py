"""`infill bench table`: all targets of the engine and the measured values in one run. Reports progress row by row; takes about an hour."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psutil

from infill.bench import edits, figures, metrics, quality, speed, traces, typing
from infill.bench.document import Document
from infill.bench.drive import Driven, engine
from infill.bench.edits import Edited
from infill.bench.ours import InfillEditor, engine_pid, settings_for
from infill.bench.processes import private
from infill.bench.recorder import Recorder
from infill.bench.targets import Row
from infill.bench.trace import Trace
from infill.bench.typing import Comparison, Run, Wishes, middle
from infill.bench.weights import Weights, home, prefix_first
from infill.errors import InfillError
from infill.settings import Engine, Latency

Say = Callable[[str], None]
WINDOW_CHARACTERS = (4000, 1450)
"""Characters before and after the cursor: about 1,500 tokens of code with the bundled vocabulary."""
WINDOW_TOKENS = 1450
WIDENINGS = 14
"""Maximum number of times that the latency target is raised by a third until the window is large enough: from 400 ms to 17 seconds."""
KEYS = 60
LINES = 600
PAUSE_SECONDS = 3.0
PLACES = 5
WARM_KEYS = 10
EDITORS = 5
SETTLE_SECONDS = 1.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The data behind the table."""

    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    speeds: tuple[speed.Speed, ...]
    qualities: tuple[quality.Quality, ...]
    edits: tuple[Edited, ...]
    problems: tuple[str, ...]
    """Parts whose measurement failed."""


class Subjects(msgspec.Struct, frozen=True, kw_only=True):
    """The measured models."""

    bundled: Weights
    small: Weights
    """The shape of 0.5B."""
    large: Weights
    """The shape of 1.5B."""
    trace: Trace
    llama_bench: Path
    held: Path | None = None
    positions: int = 400
    edits: int = 400
    rounds: int = 5


class _Table:
    """Collects results. Failures are reported and skipped, so that the other results of an hour's run are kept."""

    def __init__(self, subjects: Subjects, wishes: Wishes, say: Say) -> None:
        self.subjects, self.wishes, self.say = subjects, wishes, say
        self.comparisons: list[Comparison] = []
        self.speeds: list[speed.Speed] = []
        self.qualities: list[quality.Quality] = []
        self.edits: list[Edited] = []
        self.rows: list[Row] = []
        self.problems: list[str] = []

    async def part(self, work: Awaitable[Sequence[Row]]) -> None:
        try:
            self.rows += await work
        except (InfillError, OSError, psutil.Error) as exc:
            self.problems.append(str(exc))
            self.say(f"This part failed: {exc}")

    async def typing(self) -> list[Row]:
        # the bundled model has no target against the peer: it runs with the threads that the engine chooses for this machine
        alone = msgspec.structs.replace(self.wishes, threads=None)
        for one, wishes in ((self.subjects.small, self.wishes), (self.subjects.large, self.wishes), (self.subjects.bundled, alone)):
            self.comparisons.append(await typing.compare(one, self.subjects.trace, wishes, self.say))
        return [*typing_rows(self.comparisons), accept_row(self.comparisons)]

    async def speed(self) -> list[Row]:
        options = Engine(threads=self.wishes.threads)
        for one in (self.subjects.small, self.subjects.large, self.subjects.bundled):
            self.speeds.append(await speed.local(one, options, self.subjects.rounds, self.subjects.llama_bench, self.say))
        return speed_rows(self.speeds)

    async def cancel(self) -> list[Row]:
        self.say(f"Cancelling {self.subjects.small.name} ...")
        return [await figures.cancel_to_idle(self.subjects.small, self.subjects.rounds * 2)]

    async def quality(self) -> list[Row]:
        texts, positions = quality.held_out(self.subjects.held), self.subjects.positions
        for order, measured in (("suffix first", self.subjects.bundled), ("prefix first", prefix_first())):
            self.qualities.append(await quality.quality(measured, order, texts, positions, self.say))
            self.edits.append(edits.edits(measured, order, self.subjects.edits, self.say))
        return [*quality.rows(self.qualities), *edits.rows(self.edits)]


async def everything(subjects: Subjects, wishes: Wishes, say: Say) -> Measured:
    """All results of the table."""
    table = _Table(subjects, wishes, say)
    await table.part(table.typing())
    await table.part(evaluated_per_key(subjects.small, say))
    await table.part(after_opening(subjects.small, say))
    await table.part(table.speed())
    await table.part(table.cancel())
    await table.part(five_editors(subjects.small, say))
    await table.part(table.quality())
    return Measured(
        rows=tuple(table.rows),
        comparisons=tuple(table.comparisons),
        speeds=tuple(table.speeds),
        qualities=tuple(table.qualities),
        edits=tuple(table.edits),
        problems=tuple(table.problems),
    )


# ---- typing


def typing_rows(comparisons: Sequence[Comparison]) -> list[Row]:
    """Latency compared with the peer, and the share of pauses with a suggestion."""
    rows = [_against_the_peer(comparison, name, pick) for comparison in comparisons[:2] for name, pick in PERCENTILES]
    ours, peers = (metrics.pauses_seen(comparisons[0].figures(side)) for side in ("infill", "llama-server"))
    rows.append(
        Row(
            what=f"pauses of 400 ms or more that saw a suggestion, {comparisons[0].model}",
            measured=round(100 * ours.share, 1),
            unit="%",
            target=90,
            at_least=True,
            note=f"{ours.words} pauses over {_runs(comparisons[0])}; llama-server: {peers.words}",
        )
    )
    bundled = comparisons[2].of("infill")
    rows.append(
        Row(
            what="bundled model: keystroke to ghost text, 95th percentile",
            measured=round(middle([run.figures.every_latency.p95 for run in bundled]), 1),
            unit="ms",
            target=25,
            note=f"median {middle([run.figures.every_latency.p50 for run in bundled]):.1f} ms; all ghost text, also what was typed along; "
            f"medians of {_runs(comparisons[2])}",
        )
    )
    return rows


def _median(run: Run) -> float:
    return run.figures.latency.p50


def _slowest(run: Run) -> float:
    return run.figures.latency.p95


PERCENTILES: tuple[tuple[str, Callable[[Run], float]], ...] = (("median", _median), ("95th percentile", _slowest))


def _against_the_peer(comparison: Comparison, name: str, pick: Callable[[Run], float]) -> Row:
    ours, theirs = (middle([pick(run) for run in comparison.of(side)]) for side in ("infill", "llama-server"))
    return Row(
        what=f"typing, {comparison.model}: keystroke to new ghost text, {name}, against llama-server",
        measured=round(ours / theirs, 3) if theirs else 0.0,
        unit="x",
        target=0.2,
        note=f"{ours:.0f} ms and {theirs:.0f} ms; medians of {_runs(comparison)} each",
        unknown="" if ours and theirs else f"{'llama-server' if ours else 'infill'} showed nothing",
    )


def _runs(comparison: Comparison) -> str:
    count = len(comparison.of("infill"))
    return f"{count} run{'s' if count != 1 else ''}"


def accept_row(comparisons: Sequence[Comparison]) -> Row:
    """How often the next suggestion was shown at once after an acceptance."""
    small, *others = ((one, metrics.accepts_followed(one.figures("infill"))) for one in comparisons)
    beside = "".join(f"; {one.model} {tally.words}" for one, tally in others)
    return Row(
        what=f"accept, then the next suggestion at once, {small[0].model}",
        measured=round(100 * small[1].share, 1),
        unit="%",
        target=80,
        at_least=True,
        note=f"{small[1].words} acceptances over {_runs(small[0])}{beside}",
    )


# ---- the engine alone


async def evaluated_per_key(measured: Weights, say: Say, tokens: int = WINDOW_TOKENS) -> list[Row]:
    """Prompt tokens evaluated per key while typing forward, in a window of at least this many tokens."""
    say(f"{measured.name}: tokens evaluated per key ...")
    text = traces.default().text
    middle_of = len(text) // 2
    before, after = text[max(0, middle_of - WINDOW_CHARACTERS[0]) : middle_of], text[middle_of : middle_of + WINDOW_CHARACTERS[1]]
    typed = figures.TYPED[:KEYS]
    async with engine(measured, Engine()) as driven:
        window, target = await _widened(driven, before, after, tokens)
        counts = [(await driven.ask(before + typed[: at + 1], after, tokens=1)).done.timings.tokens_evaluated for at in range(len(typed))]
    order = "suffix" if measured.suffix_first else "prefix"
    return [
        Row(
            what=f"prompt tokens evaluated per key while typing forward, {measured.name}, {order} first, median",
            measured=statistics.median(counts),
            unit="tokens",
            target=8,
            note=f"{len(typed)} keys in a window of {window:,} tokens, for which `latency.target` was {target} ms; most {max(counts)}, "
            f"mean {statistics.fmean(counts):.1f}",
            unknown="" if window >= tokens else f"the window would not hold {tokens:,} tokens",
        )
    ]


async def _widened(driven: Driven, before: str, after: str, tokens: int) -> tuple[int, int]:
    """Raise the latency target until the window has this many tokens; returns the window's tokens and the target.

    The target is raised no further, because it also affects the choice between moving and evaluating tokens.
    """
    window, target = 0, Latency().target
    for step in range(WIDENINGS):
        target += step and target // 3
        driven.client.configure(Engine(), target)
        spent = (await driven.ask(before, after)).done.timings
        window = spent.tokens_evaluated + spent.tokens_kept
        if window >= tokens:
            break
    return window, target


def speed_rows(speeds: Sequence[speed.Speed]) -> list[Row]:
    """The speed compared with llama-bench."""
    rows = []
    for one in speeds:
        both = (
            ("generation", one.generate_ratio, 0.97, f"{one.generate_per_second:.1f} and {one.bench_generate:.1f} tokens/s"),
            ("evaluation", one.evaluate_ratio, 0.95, f"{one.evaluate_per_second:.0f} and {one.bench_evaluate:.0f} tokens/s"),
        )
        for name, value, target, note in both:
            what = f"{name} against llama-bench, {one.name}, {one.threads} threads"
            rows.append(Row(what=what, measured=round(value, 3), target=target, at_least=True, note=note))
    return rows


# ---- a newly opened file


async def after_opening(measured: Weights, say: Say) -> list[Row]:
    """The first completion in a long file after a pause, compared with the following ones; without and with a key before the pause.

    Each place gets a new engine. The time of an answer depends on its line's length, so that medians over places are compared.
    """
    rows = []
    for what, first_key in (("and nothing else", False), ("and a key", True)):
        say(f"{measured.name}: opening a file of {LINES} lines {what}, at {PLACES} places ...")
        seen = [await _first_and_warm(measured, (1 + place) / (1 + PLACES), first_key) for place in range(PLACES)]
        first, warm = statistics.median(first for first, _ in seen), statistics.median(value for _, later in seen for value in later)
        rows.append(
            Row(
                what=f"first completion after opening {LINES} lines {what}, pausing {PAUSE_SECONDS:.0f} s, against a warm one",
                measured=round(first / warm, 2),
                unit="x",
                target=1.2,
                note=f"{first:.0f} ms ({', '.join(f'{value:.0f}' for value, _ in seen)}), then {warm:.0f} ms; {measured.name}",
            )
        )
    return rows


async def _first_and_warm(measured: Weights, share: float, first_key: bool) -> tuple[float, list[float]]:
    """Milliseconds of the first answer at a place of a file, and of the model's answers to the following keys."""
    async with _loaded(measured) as editor:
        document = _at(_long_file(), "long.py", share)
        await editor.show(document)
        if first_key:
            editor.tell(document, document.type("s"))
        await asyncio.sleep(PAUSE_SECONDS)
        answers = []
        for letter in "elf.value_of = s"[: WARM_KEYS + 1]:
            editor.tell(document, document.type(letter))
            answers.append(await figures.question(editor, document))
            await asyncio.sleep(SETTLE_SECONDS)
    return answers[0].milliseconds, [answer.milliseconds for answer in answers[1:] if answer.source == "model"]


@asynccontextmanager
async def _loaded(measured: Weights) -> AsyncIterator[InfillEditor]:
    """An editor with infill, the model loaded, and only a small file open."""
    async with figures.opened(measured, Document("small.py", "python", "value = 1\n")) as editor:
        yield editor


def _long_file() -> str:
    lines = (traces.default().text * 3).split("\n")
    return "\n".join(lines[:LINES])


def _at(text: str, name: str, share: float) -> Document:
    """A document with the cursor on a new line after this share of the text."""
    document = Document(name, "python", text)
    document.cursor = text.index("\n", int(len(text) * share))
    document.replace(document.cursor, 0, "\n        ")
    document.version = 1
    return document


# ---- several editors


async def five_editors(measured: Weights, say: Say) -> list[Row]:
    """Memory of one engine with one editor and with five."""
    say(f"{measured.name}: one editor, then {EDITORS} ...")
    editors: list[InfillEditor] = []
    sizes: list[tuple[int, int]] = []
    with home(measured) as folder:
        try:
            for number in range(EDITORS):
                editor = InfillEditor(folder, settings_for(measured, None, None), Recorder())
                editors.append(editor)
                document = _at(_long_file(), f"window-{number}.py", 0.5)
                await editor.open(document)
                await asyncio.sleep(SETTLE_SECONDS)
                servers = sum(private(psutil.Process(one.client.process.pid)) for one in editors)
                sizes.append((private(psutil.Process(engine_pid())), servers))
        finally:
            for editor in reversed(editors):
                await editor.close()
    (one, its_server), (five, servers) = sizes[0], sizes[-1]
    megabytes = [value / 2**20 for value in (one, its_server, five, servers)]
    return [
        Row(
            what=f"memory of the engine with {EDITORS} editors, against one",
            measured=round(five / one, 3),
            unit="x",
            target=1.15,
            note=f"{megabytes[0]:.0f} MiB, then {megabytes[2]:.0f} MiB; {measured.name}",
        ),
        Row(
            what=f"... with the {EDITORS} language servers",
            measured=round((five + servers) / (one + its_server), 3),
            unit="x",
            target=1.15,
            note=f"the servers take {megabytes[1]:.0f} MiB, then {megabytes[3]:.0f} MiB",
        ),
    ]
