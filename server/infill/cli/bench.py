"""`infill bench`: speed and quality on this machine, compared with other programs."""

from __future__ import annotations

import asyncio
import enum
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from infill.cli import output
from infill.errors import InfillError

if TYPE_CHECKING:
    from infill.bench.machine import Machine
    from infill.bench.speed import Speed
    from infill.bench.table import Measured
    from infill.bench.targets import Row
    from infill.bench.trace import Trace
    from infill.bench.typing import Wishes
    from infill.bench.weights import Weights

app = typer.Typer(help="Measure how fast and how good it is on this machine.", no_args_is_help=True)


class Peer(str, enum.Enum):
    """Programs that `infill bench speed` can compare with."""

    OLLAMA = "ollama"


MODELS = "`bundled`, a shape of Qwen2.5-Coder (0.5b, 1.5b, 3b, 7b), or a *.gguf file; may be given several times."


@app.command(help="Play a trace of typing to infill, and to llama-server driven as llama.vim does.")
def typing(
    model: list[str] = typer.Option(["bundled"], "--model", help=MODELS),
    trace: Path | None = typer.Option(None, "--trace", help="A trace made by `make-trace`; default: one that comes with the bench."),
    peer: bool = typer.Option(False, "--peer", help="Measure llama-server in turns with infill."),
    runs: int = typer.Option(3, "--runs", min=1, help="How often each side is measured."),
    threads: int | None = typer.Option(None, "--threads", min=1, help="Threads of both sides; default: as each chooses."),
    tokens: int | None = typer.Option(None, "--tokens", min=1, help="Generate at most this many on both sides; default: as each does in life."),
    as_json: bool = typer.Option(False, "--json", help="Print everything, moment by moment."),
    report: Path | None = typer.Option(None, "--report", help="Draw an HTML report."),
) -> None:
    from infill.bench import machine, peer_build, traces
    from infill.bench import report as reports
    from infill.bench import typing as bench
    from infill.bench.weights import weights

    played = traces.default() if trace is None else traces.load(trace)
    wishes = bench.Wishes(runs=runs, threads=threads, tokens=tokens, peer=str(peer_build.needed("llama-server")) if peer else "")
    here = machine.machine()
    comparisons = [asyncio.run(bench.compare(weights(name, output.note), played, wishes, output.note)) for name in model]
    if report:
        reports.write(report, comparisons, played, here, wishes)
        output.note(f"The report is {report}.")
    if as_json:
        figures = {comparison.model: reports.lines(comparison) for comparison in comparisons}
        output.json({"machine": here, "trace": played.name, "seed": played.seed, "wishes": wishes, "figures": figures, "comparisons": comparisons})
        return
    output.note(here.sentence)
    for comparison in comparisons:
        sides = ["infill", "llama-server", "better by"] if peer else ["infill"]
        rows = [[name, *cells, *([ratio] if peer else [])] for name, cells, ratio in reports.table(comparison)]
        output.table([comparison.model, *sides], rows)


@app.command("make-trace", help="Make a trace of typing from a source file.")
def make_trace(
    file: Path = typer.Argument(..., help="A source file; what is typed is taken from it."),
    to: Path = typer.Option(Path("trace.json"), "--to", help="Where the trace goes."),
    seed: int = typer.Option(1, "--seed", help="The same seed makes the same trace."),
    characters: int = typer.Option(600, "--characters", min=50, help="About how many are typed."),
) -> None:
    from infill.bench import rhythm, trace
    from infill.cli import cursor

    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise InfillError(f"{file} is not text in UTF-8.") from exc
    made = rhythm.make_trace(text, file.name, seed, characters, cursor.language_of(file) or "plaintext")
    trace.save(made, to)
    output.say(f"{to}: {made.characters} characters in {len(made.holes)} places, {len(made.edits)} edits, {made.seconds:.0f} s")


@app.command("build-peer", help="Build llama-server and llama-bench from llama-cpp-python's own sources.")
def build_peer(
    source: Path | None = typer.Option(None, "--source", help="The source distribution of llama-cpp-python; default: fetched with pip."),
    jobs: int = typer.Option(0, "--jobs", min=0, help="Compilers at once; 0: one for each core."),
    option: list[str] = typer.Option([], "--option", help="A further option of cmake, such as -DGGML_CUDA=ON; may be given several times."),
) -> None:
    from infill.bench import peer_build

    output.say(str(peer_build.build(output.note, source, jobs, option)))


@app.command(help="Measure tokens per second, the first token, load time and memory of models and providers.")
def speed(
    model: list[str] = typer.Option(["bundled"], "--model", help=MODELS),
    provider: list[str] = typer.Option(
        [], "--provider", help="A remote provider of your settings, such as `ollama:home`; may be given several times."
    ),
    threads: int | None = typer.Option(None, "--threads", min=1, help="Threads; default: as the engine chooses for this machine."),
    rounds: int = typer.Option(5, "--rounds", min=1, help="How often each is measured; the median counts."),
    compare: bool = typer.Option(False, "--llama-bench", help="Run llama-bench on the same files, before and after."),
    peer: Peer | None = typer.Option(
        None,
        "--peer",
        help="Compare the engine with Ollama: same model file, threads and greedy questions, in turns. Needs an `ollama` program on the PATH, "
        "or named by INFILL_BENCH_OLLAMA. Combines with --model, --threads, --rounds and --json.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print everything."),
    report: Path | None = typer.Option(None, "--report", help="Draw an HTML report."),
) -> None:
    from infill.bench import machine, peer_build
    from infill.bench import report as reports

    if peer is not None:
        if provider or compare or report:
            raise typer.BadParameter("cannot be combined with --provider, --llama-bench or --report", param_hint="--peer")
        _beside(model, threads, rounds, as_json)
        return
    here = machine.machine()
    bench = peer_build.needed("llama-bench") if compare else None
    speeds = asyncio.run(_speeds(model, provider, threads, rounds, bench))
    if report:
        report.write_text(reports.speed_page(speeds, here), encoding="utf-8")
        output.note(f"The report is {report}.")
    if as_json:
        output.json({"machine": here, "speeds": speeds})
        return
    output.note(here.sentence)
    output.table(*reports.speed_table(speeds))


def _stop(number: int, frame: object) -> None:
    """Stop the measurement and its servers; a second signal must not interrupt that."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _beside(models: list[str], threads: int | None, rounds: int, as_json: bool) -> None:
    from infill.bench import beside, machine, ollama, targets
    from infill.bench.weights import weights
    from infill.settings import Engine

    binary, here = ollama.needed(), machine.machine()
    signal.signal(signal.SIGTERM, _stop)
    found = [asyncio.run(beside.compare(weights(name, output.note), Engine(threads=threads), rounds, binary, output.note)) for name in models]
    if as_json:
        output.json({"machine": here, "comparisons": found})
        return
    output.note(here.sentence)
    for one in found:
        output.note(f"{one.model}: {one.threads} threads on both sides; {one.same_answers} of {one.rounds} long answers were equal.")
    output.table(targets.COLUMNS, [targets.cells(row) for one in found for row in one.rows])


async def _speeds(models: list[str], providers: list[str], threads: int | None, rounds: int, bench: Path | None) -> list[Speed]:
    from infill import settings_file
    from infill.bench import speed as measure
    from infill.bench.weights import weights
    from infill.providers import setup
    from infill.settings import Engine

    options = Engine(threads=threads)
    found = [await measure.local(weights(name, output.note), options, rounds, bench, output.note) for name in models]
    settings, _ = settings_file.load()
    for name in providers:
        answering = setup.remote(name, settings)
        try:
            found.append(await measure.remote(name, answering, rounds, output.note))
        finally:
            await answering.aclose()
    return found


@app.command(help="Measure what the server and the engine cost around the model.")
def figures(
    shape: str = typer.Option("0.5b", "--shape", help="The model that is cancelled: a shape, or a *.gguf file."),
    rounds: int = typer.Option(10, "--rounds", min=1, help="How often each is measured."),
    as_json: bool = typer.Option(False, "--json", help="Print everything."),
) -> None:
    from infill.bench.weights import weights

    _print_rows(asyncio.run(_figures(weights(shape, output.note), rounds)), as_json)


async def _figures(shape: Weights, rounds: int) -> list[Row]:
    from infill.bench import figures, generating, peer_build

    found = await figures.all_figures(rounds, shape, output.note)
    return found + await generating.rows(shape, rounds, peer_build.program("llama-bench"), output.note)


def _print_rows(rows: list[Row], as_json: bool) -> None:
    from infill.bench import machine, targets

    here = machine.machine()
    if as_json:
        output.json({"machine": here, "rows": rows})
        return
    output.note(here.sentence)
    output.table(targets.COLUMNS, [targets.cells(row) for row in rows])


@app.command(help="Measure everything that was aimed at, beside its target. Takes about an hour.")
def table(
    shapes: list[str] = typer.Option(["0.5b", "1.5b"], "--shape", help="The small and the large model: shapes, or *.gguf files."),
    held: Path | None = typer.Option(None, "--held", help="A JSON list of texts that the bundled model does not know; default: this program's own."),
    positions: int = typer.Option(400, "--positions", min=1, help="Places in those texts for quality."),
    edits: int = typer.Option(400, "--edits", min=1, help="Random edits of one document for quality."),
    trace: Path | None = typer.Option(None, "--trace", help="A trace made by `make-trace`; default: the one that comes with the bench."),
    runs: int = typer.Option(2, "--runs", min=1, help="How often the trace is played to each side."),
    rounds: int = typer.Option(5, "--rounds", min=1, help="How often speed and cancelling are measured."),
    threads: int | None = typer.Option(None, "--threads", min=1, help="Threads of both sides; default: as each chooses."),
    tokens: int | None = typer.Option(None, "--tokens", min=1, help="Generate at most this many on both sides; default: as each does in life."),
    as_json: bool = typer.Option(False, "--json", help="Print everything."),
    to: Path = typer.Option(Path("bench-table"), "--to", help="Folder for table.md, table.json and the reports."),
) -> None:
    from infill.bench import machine as machines
    from infill.bench import peer_build, traces
    from infill.bench import table as bench
    from infill.bench import typing as players
    from infill.bench.weights import weights

    if len(shapes) != 2:
        raise typer.BadParameter("give two", param_hint="--shape")
    here = machines.machine()
    wishes = players.Wishes(runs=runs, threads=threads, tokens=tokens, peer=str(peer_build.needed("llama-server")))
    small, large = (weights(name, output.note) for name in shapes)
    bundled = weights("bundled")
    played = traces.default() if trace is None else traces.load(trace)
    subjects = bench.Subjects(
        bundled=bundled,
        small=small,
        large=large,
        trace=played,
        llama_bench=peer_build.needed("llama-bench"),
        held=held,
        positions=positions,
        edits=edits,
        rounds=rounds,
    )
    measured = asyncio.run(bench.everything(subjects, wishes, output.note))
    _write_table(to, measured, here, played, wishes)
    _print_rows(list(measured.rows), as_json)


def _write_table(to: Path, measured: Measured, here: Machine, played: Trace, wishes: Wishes) -> None:
    from infill.bench import report as reports
    from infill.bench import targets

    to.mkdir(parents=True, exist_ok=True)
    (to / "table.json").write_bytes(msgspec.json.encode({"machine": here, "measured": measured}))
    (to / "table.md").write_text(f"{here.sentence}\n\n{targets.markdown(measured.rows)}", encoding="utf-8")
    (to / "speed.html").write_text(reports.speed_page(measured.speeds, here), encoding="utf-8")
    reports.write(to / "typing.html", measured.comparisons, played, here, wishes)
    output.note(f"Table and reports are in {to}.")


@app.command(help="Play scenarios of next edits, or replay a git history, and count the suggestions that are right.")
def edits(
    repository: Path | None = typer.Option(None, "--repository", help="A git repository whose commits are replayed instead."),
    commits: int = typer.Option(200, "--commits", min=1, help="With --repository: the newest commits that are no merges."),
    half: str = typer.Option("all", "--half", help="With --repository: every second commit only, `even` or `odd`; default: all."),
    lines: int | None = typer.Option(None, "--lines", min=100, help="Measure the CPU time of a suggestion in a file of so many lines instead."),
    eagerness: str = typer.Option("medium", "--eagerness", help="low, medium or high."),
    answers: Path | None = typer.Option(None, "--answers", help="Judge a next-edit model instead: a folder of recorded answers."),
    prompt_format: str = typer.Option("sweep", "--format", help="With --answers: the prompt format of the model."),
    live: str = typer.Option("", "--live", metavar="MODEL", help="With --answers: ask this local model, and record what it answers."),
    as_json: bool = typer.Option(False, "--json", help="Print everything."),
    report: Path | None = typer.Option(None, "--report", help="Write an HTML page with every scenario as a diff."),
) -> None:
    from infill.bench import edit_cost, next_edits, next_edits_report

    if answers is not None:
        _model_edits(answers, prompt_format, live, as_json)
        return
    if lines is not None:
        costs = edit_cost.costs(lines)
        if as_json:
            output.json(costs)
        else:
            output.table(edit_cost.COLUMNS, [edit_cost.cells(one) for one in costs])
        return
    if eagerness not in next_edits.EAGERNESS:
        raise typer.BadParameter(f"choose {', '.join(next_edits.EAGERNESS)}", param_hint="--eagerness")
    if repository is not None:
        from infill.bench import replay

        if half not in replay.HALVES:
            raise typer.BadParameter(f"choose {', '.join(replay.HALVES)}", param_hint="--half")
        found = replay.replay(repository, commits, eagerness, half)
        if as_json:
            output.json(found)
        else:
            output.table(*next_edits_report.replayed(found))
        return
    from infill.bench import scenarios

    played = scenarios.load()
    results = [next_edits.played(one, eagerness) for one in played]
    if report is not None:
        from infill.bench import next_edits_page

        report.write_text(next_edits_page.page(played, results), encoding="utf-8")
        output.note(f"The report is {report}.")
    if as_json:
        output.json({"scores": next_edits.scores(results), "scenarios": results})
        return
    output.table(*next_edits_report.by_kind(results))
    for one in results:
        if not one.exact:
            output.say("\n".join([f"{one.name} is not exact:", *(f"  {line}" for line in one.diff)]))


def _model_edits(folder: Path, name: str, live: str, as_json: bool) -> None:
    from infill.bench import model_edits
    from infill.edits.formats import FORMATS

    if name not in FORMATS:
        raise typer.BadParameter(f"choose {', '.join(FORMATS)}", param_hint="--format")
    results = asyncio.run(model_edits.play(folder, name, live, output.note))
    if as_json:
        output.json(results)
    else:
        output.table(*model_edits.table(results))


@app.command(help="Compare answers of a cache that was moved about with fresh ones, on texts that the bundled model does not know.")
def quality(
    acceptance: bool = typer.Option(False, "--acceptance", help="Accept scripted suggestions in real files, and compare with the files."),
    confidence: bool = typer.Option(False, "--confidence", help="Compare how sure models are with how often they are right, and what is shown."),
    definitions: Path | None = typer.Option(
        None, "--definitions", help="Compare answers in this folder with and without definitions from its index."
    ),
    model: list[str] = typer.Option(["bundled"], "--model", help=f"With --confidence and --definitions: {MODELS}"),
    held: Path | None = typer.Option(None, "--held", help="A JSON list of texts; default: this program's own."),
    positions: int = typer.Option(
        200, "--positions", min=1, help="How many places in them; with --confidence: in each half; with --definitions: how many holes."
    ),
    temperature: float = typer.Option(0.0, "--temperature", min=0, max=10, help="With --confidence: of `infill models check`; 0: fit one here."),
    before: int = typer.Option(4000, "--before", min=1, help="With --confidence: characters of prefix, at most."),
    edited: int = typer.Option(400, "--edits", min=1, help="How many random edits of one document, the next token compared after each."),
    corpus: list[Path] = typer.Option([], "--corpus", help="With --acceptance: a folder of source files; default: packages on this machine."),
    fetch: bool = typer.Option(False, "--fetch", help="With --acceptance: download packages of fixed versions with pip, npm, cargo, go and mvn."),
    places: int = typer.Option(20, "--places", min=1, help="With --acceptance: places of each kind in each language."),
    seed: int = typer.Option(1, "--seed", help="With --acceptance: the same seed and files give the same places."),
    as_json: bool = typer.Option(False, "--json", help="Print everything."),
) -> None:
    if acceptance:
        _acceptance(corpus, fetch, places, seed, as_json)
        return
    if confidence:
        _confidence(model, held, positions, temperature, before, as_json)
        return
    if definitions is not None:
        _definitions(definitions, model, positions, seed, as_json)
        return
    from infill.bench import edits
    from infill.bench import quality as bench
    from infill.bench.weights import prefix_first, weights

    texts = bench.held_out(held)
    asked = [("suffix first", weights("bundled")), ("prefix first", prefix_first())]
    found = [asyncio.run(bench.quality(measured, order, texts, positions, output.note)) for order, measured in asked]
    days = [edits.edits(measured, order, edited, output.note) for order, measured in asked]
    if as_json:
        output.json({"positions": found, "edits": days})
    else:
        _print_rows([*bench.rows(found), *edits.rows(days)], False)


def _definitions(folder: Path, models: list[str], wanted: int, seed: int, as_json: bool) -> None:
    from infill.bench import definitions, targets
    from infill.bench.weights import weights

    asked = definitions.holes(folder.resolve(), wanted, seed)
    found = [asyncio.run(definitions.measure(weights(name, output.note), asked, output.note)) for name in models]
    if as_json:
        output.json(found)
    else:
        output.table(targets.COLUMNS, [targets.cells(row) for one in found for row in definitions.rows(one)])


def _confidence(models: list[str], held: Path | None, positions: int, temperature: float, before: int, as_json: bool) -> None:
    from infill.bench import confidence, quality, targets
    from infill.bench.weights import weights

    texts = quality.held_out(held)
    measured = [weights(name, output.note) for name in models]
    found = [asyncio.run(confidence.confidence(one, texts, positions, output.note, heat=temperature, before=before)) for one in measured]
    if as_json:
        output.json(found)
        return
    for one in found:
        output.table([one.model, *confidence.RELIABILITY], [["", *row] for row in confidence.reliability(one)])
        output.say("")
        output.table([one.model, *confidence.SIDES], [["", *row] for row in confidence.sides(one)])
        output.say("")
        output.table(targets.COLUMNS, [targets.cells(row) for row in confidence.rows(one)])


def _acceptance(corpus: list[Path], fetch: bool, wanted: int, seed: int, as_json: bool) -> None:
    from infill.bench import acceptance, packages, targets
    from infill.bench import corpus as sources

    if missing := [folder for folder in corpus if not folder.is_dir()]:
        raise InfillError(f"There is no folder {missing[0]}.", "Name a folder of source files with --corpus.")
    folders = corpus or (packages.fetched(output.note) if fetch else sources.installed())
    measured = asyncio.run(acceptance.measure(sources.corpus(folders, seed, output.note), wanted, seed, output.note))
    if as_json:
        output.json(measured)
        return
    for title, shares in measured.tables.items():
        output.table([title, *acceptance.COLUMNS], [acceptance.cells(share) for share in shares])
        output.say("")
    output.table(targets.COLUMNS, [targets.cells(row) for row in measured.rows])


@app.command(help="Measure how the cost of a key grows with the file, the window, the number of editors and the model.")
def scaling(
    model: list[str] = typer.Option(["bundled", "0.5b"], "--model", help=MODELS),
    as_json: bool = typer.Option(False, "--json", help="Print everything."),
) -> None:
    from infill.bench import machine
    from infill.bench import scaling as bench
    from infill.bench.weights import weights

    here = machine.machine()
    costs = asyncio.run(bench.scaling([weights(name, output.note) for name in model], output.note))
    if as_json:
        output.json({"machine": here, "costs": costs})
        return
    output.note(here.sentence)
    output.table(bench.COLUMNS, [bench.cells(cost) for cost in costs])
