"""`infill bench`: how fast and how good it is on this machine, beside the strongest peer. Measures for minutes; for those who choose, doubt or develop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer

from infill.cli import output
from infill.errors import InfillError

app = typer.Typer(help="Measure how fast and how good it is on this machine.", no_args_is_help=True)
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
    wishes = bench.Wishes(runs=runs, threads=threads, tokens=tokens, peer=peer_build.needed("llama-server") if peer else None)
    here = machine.machine()
    comparisons = [asyncio.run(bench.compare(weights(name, output.note), played, wishes, output.note)) for name in model]
    if report:
        reports.write(report, comparisons, played, here, wishes)
        output.note(f"The report is {report}.")
    if as_json:
        output.json({"machine": here, "trace": played.name, "seed": played.seed, "wishes": wishes, "comparisons": comparisons})
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

    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise InfillError(f"{file} is not text in UTF-8.") from exc
    made = rhythm.make_trace(text, file.name, seed, characters)
    trace.save(made, to)
    output.say(f"{to}: {made.characters} characters in {len(made.holes)} places, {len(made.edits)} edits, {made.seconds:.0f} s")


@app.command("build-peer", help="Build llama-server and llama-bench from llama-cpp-python's own sources.")
def build_peer(
    source: Path | None = typer.Option(None, "--source", help="The source distribution of llama-cpp-python; default: fetched with pip."),
    jobs: int = typer.Option(0, "--jobs", min=0, help="Compilers at once; 0: one for each core."),
) -> None:
    from infill.bench import peer_build

    output.say(str(peer_build.build(output.note, source, jobs)))
