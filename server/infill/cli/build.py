"""`infill build`: builds llama-cpp-python for this machine's processor and GPU, next to the installed one."""

from __future__ import annotations

import typer

from infill.cli import output
from infill.cli.bar import bar
from infill.engine import build as building
from infill.engine.build import BuildPlan
from infill.errors import InfillError
from infill.llama_package import INDEX
from infill.models import hardware, library

app = typer.Typer()

BACKENDS = ("auto", "cpu", "cuda", "metal", "vulkan", "hip")


@app.command(help="Build llama.cpp for this machine's processor and GPU, check it, and use it from the engine's next start on.")
def build(
    backend: str = typer.Option("auto", "--backend", help="auto, cpu, cuda, metal, vulkan or hip."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would be built, with which flags, and what is missing."),
    prebuilt: bool = typer.Option(False, "--prebuilt", help="Take a prebuilt wheel that runs on this machine; compile only where there is none."),
    index: str = typer.Option(INDEX, "--index", help="Address of the prebuilt indexes, one per backend below it."),
    source: str = typer.Option("", "--source", help="Build this archive of llama-cpp-python instead of the published one."),
    reset: bool = typer.Option(False, "--reset", help="Use the installed llama-cpp-python again."),
    log: bool = typer.Option(False, "--log", help="Show what the last build printed."),
    as_json: bool = typer.Option(False, "--json", help="Print the facts as JSON."),
) -> None:
    if log:
        output.text(building.log_file().read_text("utf-8", "replace"))
        return
    if reset:
        output.say("The installed llama-cpp-python is used again." if building.reset() else "The installed llama-cpp-python is in use already.")
        return
    machine = hardware.machine(fresh=True)
    wanted = building.plan(_backend(backend), building.find_tools(machine), machine)
    if dry_run:
        output.json(wanted) if as_json else _show(wanted)
        return
    if not as_json:
        output.note(" ".join(wanted.reasons))
    with bar(f"llama.cpp for {wanted.backend}") as update:
        made = building.build(wanted, update, source=source, index=index if prebuilt else "")
    if made:
        output.json(made) if as_json else output.say(f"llama.cpp for {made.backend} is ready and checked. The engine uses it from its next start.")


def _backend(name: str) -> building.Wanted:
    if name not in BACKENDS:
        raise InfillError(f"There is no backend {name!r}.", f"There are {', '.join(BACKENDS)}.")
    return name  # type: ignore[return-value]


def _show(wanted: BuildPlan) -> None:
    current = library.current()
    output.facts(
        [
            ("backend", wanted.backend),
            ("why", " ".join(wanted.reasons)),
            ("version", wanted.version),
            ("flags", " ".join(wanted.flags)),
            ("directory", wanted.directory),
            ("prebuilt", ", ".join(wanted.prebuilt)),
            ("missing", " ".join(wanted.missing) or "nothing"),
            ("built before", "yes" if wanted.built else "no"),
            ("in use", f"{current.backend} in {current.directory}" if current else "the installed llama-cpp-python"),
        ]
    )
    if wanted.missing:
        output.note("Install what is missing, build for the processor (--backend cpu), or use a remote provider.")
