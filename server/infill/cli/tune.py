"""`infill tune [MODEL]`: measures the fastest way to load a model on this machine, and stores it."""

from __future__ import annotations

from pathlib import Path

import typer

from infill import settings_file
from infill.cli import output
from infill.cli.bar import bar
from infill.models import catalog, listing, planning, store
from infill.models import tune as tuning
from infill.models.tune import Row, Speed

app = typer.Typer()


@app.command(help="Measure how a model is best loaded on this machine (threads, batch, offload), alone and beside busy cores, and keep the best.")
def tune(
    model: str = typer.Argument("", metavar="[MODEL]", help="By default the one chosen for completions."),
    reset: bool = typer.Option(False, "--reset", help="Forget what was measured: plans are computed again."),
    as_json: bool = typer.Option(False, "--json", help="Print the facts as JSON."),
) -> None:
    settings, _ = settings_file.load()
    wanted = store.find(model or listing.chosen(settings, str(Path.cwd()))["complete"]).full_id
    if reset:
        forgotten = planning.forget(wanted)
        output.say(
            f"What was measured of {catalog.short(wanted)} is forgotten." if forgotten else f"Nothing was measured of {catalog.short(wanted)}."
        )
        return
    with bar(f"measuring {catalog.short(wanted)}") as update:
        found = tuning.tune(wanted, settings.engine, update)
    if found is None:
        raise typer.Exit(130)
    if as_json:
        output.json(found)
        return
    output.table(("plan", "generates", "evaluates", "generates busy", "evaluates busy", "a completion", "kept"), [_row(row) for row in found.table])
    output.note(f"Tokens a second; busy: with the other cores at work. {_told(found)}")


def _told(found: tuning.Outcome) -> str:
    return f"Kept: {found.message} It is used from the next loading on." if found.kept else f"The best: {found.message}"


def _row(row: Row) -> tuple[str, ...]:
    return (row.what, *_speeds(row.alone), *_speeds(row.beside), f"{row.seconds * 1000:.0f} ms", "yes" if row.best else "")


def _speeds(speed: Speed) -> tuple[str, str]:
    return ("failed", speed.error) if speed.error else (f"{speed.generate_per_second:.1f}", f"{speed.evaluate_per_second:.0f}")
