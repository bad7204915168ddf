"""`infill models check MODEL`: runs small requests on a model, and reports whether it works correctly."""

from __future__ import annotations

import typer

from infill import settings_file
from infill.cli import output
from infill.cli.bar import bar
from infill.models import catalog, checking
from infill.models.checked import Checked
from infill.models.fit import amount

STOP = typer.Option(False, "--stop", help="End a check of this model that runs now.")
BACKGROUND = typer.Option(False, "--background", help="At the lowest priority, and only where memory is free; prints nothing. Used after a download.")
AS_JSON = typer.Option(False, "--json", help="Print the facts as JSON.")


def check(
    model: str = typer.Argument(..., metavar="MODEL", help="An installed model; `infill models list` shows them."),
    end: bool = STOP,
    background: bool = BACKGROUND,
    as_json: bool = AS_JSON,
) -> None:
    settings, _ = settings_file.load()
    if end:
        checking.stop(model)
        output.say(f"Checks of {catalog.short(model)} end now.")
        return
    with bar(f"checking {catalog.short(model)}") as update:
        found = checking.check(model, settings.engine, update, background=background)
    if found is None:
        raise typer.Exit(130)
    if as_json:
        output.json(found)
    else:
        output.facts(rows(found))
    if found.problems:
        raise typer.Exit(1)


def rows(found: Checked) -> list[tuple[str, str]]:
    """The result, one fact per line."""
    return [
        ("checked", found.sentence or "failed"),
        ("ended by itself", f"{found.ended} of {found.holes} answers"),
        *([("memory", amount(found.memory))] if found.memory else []),
        *([("calibration", f"temperature {found.temperature:.2f}, from {found.places} places")] if found.places else []),
        *([("restricted", found.restricted)] if found.restricted else []),
        *(("problem", problem) for problem in found.problems),
    ]


def begin(full_id: str) -> None:
    """Start the check of a newly installed model, and print that."""
    if checking.begin(full_id):
        output.note(f"It is checked in the background; `infill models show {catalog.short(full_id)}` shows the result.")
