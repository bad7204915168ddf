"""`infill index status|definitions|rebuild|delete`: the index of definitions in workspaces. `status` and `definitions` start nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import typer

from infill import settings_file
from infill.cli import output
from infill.errors import InfillError
from infill.index import folders
from infill.index.folders import IndexStatus

app = typer.Typer(no_args_is_help=True, help="The index of a workspace's code: see, rebuild, delete.")

FOLDER = typer.Argument(Path(), help="The workspace folder; default: the current one.", show_default=False)
AS_JSON = typer.Option(False, "--json", help="Print the facts as JSON.")
EVERYTHING = typer.Option(False, "--all", help="The indexes of all folders.")


@app.command(help="Show what is indexed, and how large the index is.")
def status(folder: Path = FOLDER, everything: bool = EVERYTHING, as_json: bool = AS_JSON) -> None:
    found = list(folders.everything()) if everything else [one for one in [folders.read_status(folder)] if one]
    enabled = settings_file.load()[0].context.index
    if as_json:
        output.json({"enabled": enabled, "indexes": [msgspec.to_builtins(one) for one in found]})
        return
    if not enabled:
        output.note("The index is off (context.index).")
    if not found:
        output.say("There is no index." if everything else f"There is no index of {folder.resolve()}.")
    for one in found:
        output.facts(_lines(one))


@app.command(help="Show the definitions in other files of what is used at a place.")
def definitions(
    place: str = typer.Argument(..., metavar="FILE:LINE:COLUMN", help="A cursor, counted from 1."),
    folder: Path = typer.Option(Path(), "--folder", help="The workspace folder; default: the current one.", show_default=False),
    as_json: bool = AS_JSON,
) -> None:
    from infill.cli import cursor
    from infill.index import lookup, uses

    source, workspace = cursor.read(cursor.parse(place)), folder.resolve()
    file = source.path.resolve()
    if folders.read_status(workspace) is None:
        raise InfillError(f"There is no index of {workspace}.", "Run `infill index rebuild`.")
    path = file.relative_to(workspace).as_posix() if file.is_relative_to(workspace) else file.name
    found = lookup.definitions(workspace, uses.uses(source.prefix), path, lookup.language_of(path))
    if as_json:
        output.json(found)
        return
    if not found:
        output.note("The index has no definition of what is used there.")
    output.table(("place", "definition"), [(f"{one.path}:{one.line + 1}", one.text) for one in found])


@app.command(help="Index a folder again from the beginning, and wait for it.")
def rebuild(folder: Path = FOLDER, as_json: bool = AS_JSON) -> None:
    from infill.index import builder, queue

    if not folder.is_dir():
        raise InfillError(f"There is no folder {folder}.", "Name a workspace folder.")
    settings, problems = settings_file.load()
    for sentence in problems:
        output.note(sentence)
    job = queue.Job(folder=str(folder.resolve()), privacy=settings.privacy, rebuild=True)
    said = builder.build_now(job)
    if as_json:
        output.json(said)
    else:
        output.facts(_lines(said))


@app.command(help="Delete the index of a folder; an editor with context.index builds it again.")
def delete(folder: Path = FOLDER, everything: bool = EVERYTHING, as_json: bool = AS_JSON) -> None:
    from infill.index import builder

    names = [Path(one.folder) for one in folders.everything()] if everything else [folder.resolve()]
    deleted = [str(name) for name in names if builder.delete(name)]
    if as_json:
        output.json({"deleted": deleted})
        return
    for name in deleted:
        output.say(f"Deleted the index of {name}.")
    if not deleted:
        output.say("There is no index." if everything else f"There is no index of {names[0]}.")


def _lines(said: IndexStatus) -> list[tuple[str, str]]:
    lines: list[tuple[str, Any]] = [
        ("folder", said.folder),
        ("state", said.state),
        ("files", said.files),
        ("symbols", said.symbols),
        ("chunks", said.chunks),
        ("size", f"{said.bytes / 1e6:.1f} MB"),
        ("CPU time", f"{said.seconds:.1f} s"),
        ("updated", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(said.updated))),
    ]
    lines += [("problem", said.problem)] * bool(said.problem) + [("note", said.rebuilt)] * bool(said.rebuilt)
    return [(name, str(value)) for name, value in lines]
