"""All models that can be chosen on this machine, each with its fit and its properties: for `infill models list` and `infill.models`.

Reads files and hardware facts; starts no process and downloads nothing.
"""

from __future__ import annotations

import contextlib
import os
from typing import Literal

import msgspec

from infill import continuation, state
from infill.errors import InfillError, ModelError
from infill.models import catalog, checked, fit, gguf, hardware, importing, next_edit, planning, recommend, store
from infill.models.catalog import Entry
from infill.models.fit import Fit, Judgement
from infill.models.machine import Machine
from infill.models.store import Manifest, Source, Storage
from infill.settings import Engine, Settings
from infill.state import Role

State = Literal["installed", "available", "broken"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One model in the list."""

    id: str
    """With the provider: `local:...`."""
    title: str
    state: State
    source: Source | Literal["catalogue"] = "catalogue"
    provider: str = "local"
    parameters: float = 0.0
    """Billions; 0: unknown."""
    quantization: str = ""
    size: int = 0
    """Bytes of its files."""
    licence: str = ""
    licence_url: str = ""
    commercial: bool = True
    context: int = 0
    roles: tuple[Role, ...] = ()
    recommended: tuple[Role, ...] = ()
    """The roles for which it is the catalogue's best model on this machine."""
    continues_only: bool = False
    """It completes without fill-in-the-middle tokens: it does not see the code after the cursor."""
    languages: tuple[str, ...] = ()
    fit: Judgement | Literal["unknown"] = "unknown"
    why: str = ""
    """The memory calculation in one sentence, or what is wrong with its file."""
    tokens_per_second: float = 0.0
    """Expected or measured on this machine; 0: unknown."""
    active: tuple[Role, ...] = ()
    """The roles for which it is chosen."""
    incoming: int = 0
    """Bytes of an unfinished download."""
    notes: str = ""
    checked: str = ""
    """The result of `infill models check`, such as `11 of 12, suffix first, 34 tokens/s`; empty: not checked."""
    problems: tuple[str, ...] = ()
    """Problems found by the check, as sentences."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """All models, and the state of the store."""

    choices: tuple[Choice, ...]
    active: dict[Role, str]
    scope: Literal["workspace", "global", "settings"]
    """Where the model for completions was chosen; the most specific scope applies."""
    storage: Storage
    problems: tuple[str, ...] = ()
    """Catalogue entries and files of watched folders that cannot be used."""


def listing(settings: Settings, workspace: str | None = None, machine: Machine | None = None) -> Listing:
    """All models: installed ones first, then the catalogue's, then those of other programs. Never raises for one bad file."""
    known, followed = catalog.load(), importing.follow(settings.models.folders)
    here = machine or hardware.machine()
    active = chosen(settings, workspace)
    speeds = recommend.remembered(here)
    # a model in a folder that only other processes watch is offered if it is chosen
    watched = settings.models.folders
    installed = [
        each for each in store.installed() if each.source != "folder" or each.full_id in active.values() or importing.is_watched(each.path, watched)
    ]
    choices = [_installed(each, settings.engine, here, speeds) for each in installed]
    taken = {each.id for each in installed}
    used = {each.path for each in installed}
    choices += [_entry(entry, settings.engine, here, speeds) for entry in known.entries.values() if entry.id not in taken and not entry.path]
    choices += [_elsewhere(found, settings.engine, here) for found in importing.elsewhere() if found.path not in used]
    best = _recommended(here, settings.engine, speeds)
    return Listing(
        choices=tuple(msgspec.structs.replace(each, active=_roles(active, each.id), recommended=_roles(best, each.id)) for each in choices),
        active=active,
        scope=_scope(settings, workspace),
        storage=store.storage(),
        problems=(*known.problems, *followed.problems),
    )


def _roles(models: dict[Role, str], model: str) -> tuple[Role, ...]:
    return tuple(role for role, one in models.items() if one == model)


def _recommended(machine: Machine, engine: Engine, speeds: recommend.Speeds | None) -> dict[Role, str]:
    """The best model for each role; empty where this machine was not measured. Does not measure."""
    found: dict[Role, str] = {}
    for role in recommend.FAST_ENOUGH if speeds else ():
        with contextlib.suppress(ModelError):  # no model fits
            found[role] = recommend.recommend(engine, role, machine, speeds).id
    return found


def chosen(settings: Settings, workspace: str | None = None) -> dict[Role, str]:
    """The model for each role, from settings and state."""
    complete = settings.models.complete or state.chosen_model("complete", workspace)
    found: dict[Role, str] = {"complete": complete, "generate": settings.models.generate or state.choice_of("generate", workspace) or complete}
    edit = next_edit.chosen(settings, workspace)
    return found | ({"edit": edit} if edit else {})


def use(model_id: str, role: Role = "complete", workspace: str | None = None) -> str:
    """Store a choice, for the user or for one workspace; returns the full id. Loads nothing.

    Raises UnknownModel, ModelMissing or ModelError.
    """
    full_id = model_id if ":" in model_id else catalog.PREFIX + model_id
    if full_id.startswith(catalog.PREFIX):
        full_id = _must_be_able(full_id, role)
    with state.changing() as known:
        if workspace:
            known.workspaces.setdefault(workspace, {})[role] = full_id
        else:
            known.models[role] = full_id
    return full_id


def remark(full_id: str, role: Role) -> str:
    """A warning about a model chosen for this role, as a sentence; empty: none. Raises UnknownModel, ModelMissing or BadModelFile."""
    if role != "complete" or not full_id.startswith(catalog.PREFIX) or gguf.facts(store.locate(full_id).path).fim:
        return ""
    return continuation.REMARK


def _must_be_able(full_id: str, role: Role) -> str:
    facts = gguf.facts(store.locate(full_id).path)
    if not facts.generates:
        raise ModelError(f"{full_id} is an embedding or reranking model: it does not generate text.", "Choose another: `infill models list`.")
    if role == "edit":
        next_edit.format_of(full_id)
    elif store.roles_of(facts) == ("edit",):
        raise ModelError(f"{full_id} is a next-edit model.", f"Choose it for next edits: `infill models use {catalog.short(full_id)} --role edit`.")
    if role == "generate" and not facts.chat:
        raise ModelError(f"{full_id} does not follow instructions: it has no chat template.", "Choose an instruct model for generating code.")
    return catalog.PREFIX + catalog.short(full_id)


def _scope(settings: Settings, workspace: str | None) -> Literal["workspace", "global", "settings"]:
    if settings.models.complete:
        return "settings"
    return "workspace" if workspace and "complete" in state.load().workspaces.get(workspace, {}) else "global"


def _installed(manifest: Manifest, engine: Engine, machine: Machine, speeds: recommend.Speeds | None) -> Choice:
    entry = catalog.load().entries.get(manifest.id)
    described = Choice(
        id=manifest.full_id,
        title=manifest.title,
        state="installed",
        source=manifest.source,
        quantization=manifest.quantization,
        size=manifest.size,
        licence=manifest.licence,
        licence_url=entry.licence_url if entry else "",
        commercial=manifest.commercial,
        context=manifest.context,
        roles=manifest.roles,
        languages=entry.languages if entry else (),
        notes=entry.notes if entry else "",
    )
    try:
        file = store.locate(manifest.full_id)
        facts, found = gguf.facts(file.path), planning.fit_of(file, engine, machine)
    except Exception as exc:  # one bad file must not hide the others
        why = str(exc) if isinstance(exc, InfillError) else f"Its file cannot be read ({type(exc).__name__})."
        return msgspec.structs.replace(described, state="broken", why=why)
    kept = planning.tuned(manifest.full_id, machine)
    used = checked.result(file.path)
    speed = kept.generate_per_second if kept else recommend.expected_speed(facts, found, machine, speeds)
    return msgspec.structs.replace(
        described,
        parameters=facts.parameters / 1e9,
        fit=found.judgement,
        why=found.sentence,
        tokens_per_second=speed,
        context=facts.context,
        roles=entry.roles if entry and facts.generates else store.roles_of(facts),
        continues_only=facts.generates and not facts.fim,
        checked=_told(used) if used else "",
        problems=used.problems if used else (),
    )


def _told(used: checked.Checked) -> str:
    return f"{used.sentence or 'failed'} (problem)" if used.problems else used.sentence


def _entry(entry: Entry, engine: Engine, machine: Machine, speeds: recommend.Speeds | None) -> Choice:
    facts = catalog.expected(entry)
    found = fit.plan(facts, machine, engine) if facts else None
    return Choice(
        id=entry.full_id,
        title=entry.title,
        state="available",
        parameters=entry.parameters,
        quantization=entry.quantization,
        size=entry.size or (facts.file_bytes if facts else 0),
        licence=entry.licence,
        licence_url=entry.licence_url,
        commercial=entry.commercial,
        context=entry.context,
        roles=entry.roles,
        languages=entry.languages,
        fit=found.judgement if found else "unknown",
        why=found.sentence if found else "Its size is not known before the hub is asked.",
        tokens_per_second=recommend.expected_speed(facts, found, machine, speeds) if facts and found else 0.0,
        incoming=_arrived(entry.id),
        notes=entry.notes,
    )


def _elsewhere(found: importing.Found, engine: Engine, machine: Machine) -> Choice:
    described = Choice(id=found.full_id, title=found.title, state="available", source=found.source, size=found.size)
    with contextlib.suppress(Exception):  # a file of another program must not hide the others
        facts = gguf.facts(found.path)
        fits: Fit = fit.plan(facts, machine, engine)
        return msgspec.structs.replace(
            described,
            parameters=facts.parameters / 1e9,
            quantization=facts.quantization,
            context=facts.context,
            roles=store.roles_of(facts),
            continues_only=facts.generates and not facts.fim,
            fit=fits.judgement,
            why=fits.sentence,
            notes=f"In {found.source} already: nothing to download.",
        )
    return msgspec.structs.replace(described, state="broken", why="Its file cannot be read.")


def _arrived(short: str) -> int:
    with contextlib.suppress(OSError):
        return sum(entry.stat().st_size for entry in os.scandir(store.incoming_directory(short)) if entry.is_file())
    return 0
