"""`infill models ...`: lists installed and available models; downloads, checks, selects, removes and creates them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, get_args

import typer

from infill import settings_file
from infill.cli import model_check, output
from infill.cli.bar import bar
from infill.errors import InfillError, ModelError, UnknownModel
from infill.models import catalog, checked, checking, download, importing, listing, quantize, recommend, store
from infill.models.download import Progress
from infill.models.fit import amount
from infill.models.listing import Choice, Listing
from infill.models.store import Manifest
from infill.privacy import network
from infill.providers import named
from infill.settings import Settings
from infill.state import Role

app = typer.Typer(no_args_is_help=True, help="Models: see, get, choose, check, remove.")
app.command("check", help="Fill small holes with a model and see whether it works: order, end, control tokens, chat template, speed, memory.")(
    model_check.check
)

MODEL = typer.Argument(..., metavar="MODEL", help="An id such as qwen2.5-coder-1.5b-q8_0; `infill models list` and `available` show them.")
AS_JSON = typer.Option(False, "--json", help="Print the facts as JSON.")
ROLE = typer.Option("complete", "--role", help="For what: complete, generate or edit (next edits).")
YES = typer.Option(False, "--yes", "-y", help="Agree to the licence without being asked.")


@app.command("list", help="Show what is on this machine: size, whether it fits, which one is chosen, and the room that models take.")
def list_(as_json: bool = AS_JSON) -> None:
    found = _listing()
    shown = [choice for choice in found.choices if choice.state != "available"]
    if as_json:
        output.json({"models": shown, "active": found.active, "storage": _storage(found), "problems": found.problems})
        return
    rows = [(*_row(choice)[:-1], _does(choice), _row(choice)[-1], choice.checked) for choice in shown]
    output.table(("model", "title", "size", "quantization", "fit", "tokens/s", "does", "chosen for", "checked"), rows)
    _notes(found)


@app.command(help="Show what could be had: the catalogue, and what other programs on this machine have.")
def available(as_json: bool = AS_JSON) -> None:
    found = _listing()
    shown = [choice for choice in found.choices if choice.state == "available"]
    if as_json:
        output.json({"models": shown, "storage": _storage(found), "problems": found.problems})
        return
    rows = [(*_row(choice)[:6], _licence(choice)) for choice in shown]
    output.table(("model", "title", "size", "quantization", "fit", "tokens/s", "licence"), rows)
    _notes(found)
    if not any(choice.tokens_per_second for choice in shown):
        output.note("`infill models recommend` measures this machine; the expected speeds are shown then.")


@app.command(help="Show everything that is known of one model.")
def show(model: str = MODEL, as_json: bool = AS_JSON) -> None:
    wanted = catalog.PREFIX + catalog.short(model)
    choice = next((each for each in _listing().choices if each.id == wanted), None)
    manifest = store.installed_as(catalog.short(model))
    if choice is None:
        entry = catalog.find(model)
        output.json(entry) if as_json else output.facts(
            [("model", entry.full_id), ("repository", entry.repository or ""), ("licence", entry.licence)]
        )
        return
    if as_json:
        output.json({"model": choice, "manifest": manifest, "catalogue": catalog.load().entries.get(catalog.short(model))})
        return
    found = checked.result(manifest.path) if manifest else None
    output.facts([*_about(choice), *(_whence(manifest) if manifest else []), *(model_check.rows(found) if found else [])])


@app.command("download", help="Get a model of the catalogue, or any GGUF of the hub as owner/repository:file or owner/repository:Q4_K_M.")
def download_(
    model: str = MODEL,
    again: bool = typer.Option(False, "--again", help="Replace the installed files."),
    use_it: bool = typer.Option(False, "--use", help="Choose it for completions once it is installed."),
    yes: bool = YES,
    as_json: bool = AS_JSON,
) -> None:
    if manifest := _get(model, yes, again):
        if use_it:
            listing.use(manifest.full_id)
        model_check.begin(manifest.full_id)
        if as_json:
            output.json({"model": manifest.full_id, "path": manifest.path})
            return
        where = "is chosen for completions" if use_it else f"is installed. `infill models use {manifest.id}` chooses it"
        output.say(f"{manifest.title} ({manifest.quantization}, {amount(manifest.size)}) {where}. {manifest.unproven}".rstrip())
        _low_disk()


@app.command(help="Hash an installed model's files again and compare with what was installed.")
def verify(model: str = MODEL) -> None:
    with bar("checking") as update:
        manifest = store.verify(model, lambda done, total: update(done / max(1, total), amount(done)))
    output.say(f"{manifest.full_id} is whole. {manifest.unproven}".rstrip())


@app.command(help="Remove a model from this machine; of a linked file only the link.")
def remove(
    model: str = MODEL,
    force: bool = typer.Option(False, "--force", help="Also the chosen one."),
    unfinished: bool = typer.Option(False, "--unfinished", help="Only what arrived of a download that was not finished."),
) -> None:
    if unfinished:
        output.say(f"{amount(download.discard(model))} of an unfinished download are gone.")
        return
    manifest = store.remove(model, force)
    linked = all(file.link for file in manifest.files)
    output.say(f"{manifest.full_id} is removed{'; its file stays where it is' if linked else f', {amount(manifest.size)} are free again'}.")


@app.command(help="Choose a model: for you, or for the folder that you are in. Nothing is loaded before it is needed.")
def use(model: str = MODEL, role: str = ROLE, here: bool = typer.Option(False, "--here", help="For this folder only.")) -> None:
    settings, wanted = _settings(), _role(role)
    unchecked = _remote(model, settings)
    if problems := checking.warning(model):
        output.note(f"The check of {model} found a problem. {problems}")
    chosen = listing.use(named.full_id(model, settings), wanted, str(Path.cwd()) if here else None)
    output.say(f"{chosen} is chosen {_purpose(wanted)}{' in this folder' if here else ''}.")
    if remark := listing.remark(chosen, wanted):
        output.note(remark)
    if unchecked:
        output.note(f"It could not be checked whether the model exists. {unchecked}")
    models = settings.models
    if set_by := {"complete": models.complete, "generate": models.generate, "edit": models.edit}[wanted]:
        output.note(f"But the setting models.{role} names {set_by}, and settings win.")


@app.command(help="Give an installed model another title.")
def rename(model: str = MODEL, title: str = typer.Argument(..., metavar="TITLE", help="What lists call it from now on.")) -> None:
    manifest = store.rename(model, title)
    output.say(f"{manifest.full_id} is called {manifest.title}.")


@app.command("recommend", help="Say which model is best on this machine, and why; --get downloads and chooses it.")
def recommend_(
    role: str = ROLE,
    get: bool = typer.Option(False, "--get", help="Download it and choose it."),
    measure: bool = typer.Option(False, "--measure", help="Measure this machine again first."),
    yes: bool = YES,
    as_json: bool = AS_JSON,
) -> None:
    from infill.models import hardware

    machine = hardware.machine()
    speeds = recommend.measure(machine) if measure else None
    found = recommend.recommend(_settings().engine, _role(role), machine, speeds)
    if as_json and not get:
        output.json(found)
        return
    output.note(f"{found.id}: {found.title}, {amount(found.size)}, about {found.tokens_per_second:.0f} tokens/s. {found.reason}")
    if get:
        if manifest := _get(found.id, yes, again=False):
            listing.use(manifest.full_id, found.role)
            model_check.begin(manifest.full_id)
            output.say(f"{manifest.full_id} is installed and chosen {_purpose(found.role)}.")
    else:
        output.say(found.id)


@app.command(
    "import", help="Use a model that is on this machine already: a file, or one of Ollama, LM Studio or the Hugging Face cache. Nothing is copied."
)
def import_(
    source: str = typer.Argument(
        "", metavar="[SOURCE]", help="A file, or a name such as ollama:qwen2.5-coder:1.5b-base; nothing: show what was found."
    ),
    copy: bool = typer.Option(False, "--copy", help="Copy the file instead of linking to it."),
    model_id: str = typer.Option("", "--id", help="What to call it."),
    as_json: bool = AS_JSON,
) -> None:
    if not source:
        found = importing.elsewhere()
        rows = [(f"{each.source}:{each.title}", amount(each.size), str(each.path)) for each in found]
        output.json(found) if as_json else output.table(("name", "size", "file"), rows)
        if not found and not as_json:
            output.note("Neither Ollama, LM Studio nor the Hugging Face cache has models here. Give the path of a *.gguf file.")
        return
    manifest = _import(source, copy, model_id)
    if manifest is None:
        raise typer.Exit(130)
    model_check.begin(manifest.full_id)
    output.json(manifest) if as_json else output.say(
        f"{manifest.full_id} is installed ({manifest.path}). `infill models use {manifest.id}` chooses it."
    )


@app.command("quantize", help="Make a smaller model of an installed one, or of a file, with llama.cpp's quantizer.")
def quantize_(
    source: str = typer.Argument(..., metavar="SOURCE", help="An installed model, or a *.gguf file; best in f16 or bf16."),
    quantization: str = typer.Argument(..., metavar="TYPE", help="Such as q4_k_m or q8_0."),
) -> None:
    with bar(f"quantizing to {quantization}") as update:
        manifest = quantize.install(source, quantization.lower(), lambda share: update(share, ""))
    if manifest:
        output.say(f"{manifest.full_id} is installed, {amount(manifest.size)}.")


def _get(model: str, yes: bool, again: bool) -> Manifest | None:
    settings = _settings()
    if importing.find(model) is None and store.installed_as(catalog.short(model)) is None:
        _tell_licence(catalog.find(model), yes)
    with bar(catalog.short(model)) as update:

        def show(progress: Progress) -> None:
            update(progress.share, progress.sentence)

        try:
            return download.fetch(model, show, again=again, offline=network.is_offline(settings.privacy.offline))
        except KeyboardInterrupt:
            output.note("Stopped. What has arrived is kept: the same command continues.")
            raise


def _tell_licence(entry: catalog.Entry, yes: bool) -> None:
    if entry.commercial:
        output.note(f"{entry.title}: licence {entry.licence} {entry.licence_url}".rstrip())
        return
    output.note(f"{entry.title} is not for commercial use ({entry.licence}: {entry.licence_url}).")
    if not yes and not (sys.stdin.isatty() and typer.confirm("Download it all the same?", err=True)):
        raise ModelError("Its licence was not agreed to.", "Repeat this with --yes if it suits you, or choose another model.")


def _import(source: str, copy: bool, model_id: str) -> Manifest | None:
    if importing.find(source) and not Path(source).exists():
        return importing.by_name(source)
    if not source.lower().endswith(".gguf") and not Path(source).expanduser().exists():
        return importing.by_name(source)
    with bar("copying" if copy else "linking") as update:
        return importing.import_file(
            Path(source), copy=copy, model_id=model_id, progress=lambda done, total: update(done / max(1, total), amount(done))
        )


def _settings() -> Settings:
    settings, problems = settings_file.load()
    for problem in problems:
        output.note(problem)
    return settings


def _listing() -> Listing:
    return listing.listing(_settings(), str(Path.cwd()))


def _remote(model: str, settings: Settings) -> str:
    """A message if it is unknown whether a remote model exists. Raises UnknownModel if it does not."""
    if model.startswith(catalog.PREFIX) or ":" not in model:
        return ""
    try:
        return asyncio.run(named.check(model, settings))
    except UnknownModel as exc:
        there = importing.find(model)
        if there is None:
            raise
        raise UnknownModel(
            exc.message, f"{there.source} on this machine has it: `infill models import {there.source}:{there.title}` uses its file."
        ) from exc


def _role(name: str) -> Role:
    found: Role | None = next((role for role in get_args(Role) if role == name), None)
    if found is None:
        raise InfillError(f"There is no role {name!r}.", "It is complete, generate or edit.")
    return found


def _purpose(role: Role) -> str:
    return {"complete": "for completions", "generate": "for generating code", "edit": "for next edits"}[role]


def _row(choice: Choice) -> tuple[str, ...]:
    size = amount(choice.size) if choice.size else "?"
    if choice.incoming:
        size += f" ({amount(choice.incoming)} here)"
    speed = f"{choice.tokens_per_second:.0f}" if choice.tokens_per_second else ""
    fits = "broken" if choice.state == "broken" else choice.fit
    return (choice.id, choice.title, size, choice.quantization, fits, speed, ", ".join(choice.active))


def _does(choice: Choice) -> str:
    if choice.state == "broken":
        return ""
    purposes = {role: _purpose(role).removeprefix("for ") for role in choice.roles}
    if choice.continues_only and "complete" in purposes:
        purposes["complete"] += " (continues only)"
    return ", ".join(purposes.values()) or "neither (embedding or reranking)"


def _licence(choice: Choice) -> str:
    if choice.source != "catalogue":
        return choice.notes
    return choice.licence if choice.commercial else f"{choice.licence} (not commercial)"


def _about(choice: Choice) -> list[tuple[str, str]]:
    speed = f"about {choice.tokens_per_second:.0f} tokens/s" if choice.tokens_per_second else "not measured"
    return [
        ("model", choice.id),
        ("title", choice.title),
        ("state", choice.state),
        ("parameters", f"{choice.parameters:.2f} billion" if choice.parameters else "unknown"),
        ("quantization", choice.quantization),
        ("size", amount(choice.size)),
        ("context", f"{choice.context} tokens"),
        ("does", _does(choice)),
        ("fit", choice.why),
        ("speed", speed),
        ("licence", f"{choice.licence} {choice.licence_url}{'' if choice.commercial else ' (not for commercial use)'}"),
        *([("notes", choice.notes)] if choice.notes else []),
    ]


def _whence(manifest: Manifest) -> list[tuple[str, str]]:
    from_hub = f"{manifest.repository} at {manifest.revision[:12]}" if manifest.repository else manifest.source
    return [("file", str(manifest.path)), ("from", from_hub), ("sha256", manifest.files[0].sha256 or "not hashed: the file is linked")]


def _storage(found: Listing) -> dict[str, Any]:
    return {"used": found.storage.used, "incoming": found.storage.incoming, "free": found.storage.free, "path": str(found.storage.directory)}


def _notes(found: Listing) -> None:
    for problem in found.problems:
        output.note(problem)
    for choice in found.choices:
        if choice.state == "broken":
            output.note(f"{choice.id}: {choice.why}")
    unfinished = f" (and {amount(found.storage.incoming)} of unfinished downloads)" if found.storage.incoming else ""
    output.note(f"Models take {amount(found.storage.used)}{unfinished} in {found.storage.directory}; {amount(found.storage.free)} are free.")
    _low_disk()


def _low_disk() -> None:
    room = store.storage()
    if room.low:
        output.note(f"The disk is nearly full: {amount(room.free)} of {amount(room.total)} are free.")
