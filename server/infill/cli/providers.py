"""`infill providers list|login|logout|test`: the configured providers, the source of their keys (never shown), and whether they work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import typer

from infill import settings_file, state
from infill.cli import output
from infill.errors import InfillError, SettingsError
from infill.providers import check, keys, setup
from infill.providers.local import LocalProvider
from infill.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Who answers: the local model and remote servers.")

NAME = typer.Argument(..., metavar="NAME", help="As in providers.order, such as openai:work.")
AS_JSON = typer.Option(False, "--json", help="Print the facts as JSON.")


@app.command("list", help="Show who may answer, in order, where each key comes from, and (with --models) what each offers.")
def list_(models: bool = typer.Option(False, "--models", help="Ask each server which models it has."), as_json: bool = AS_JSON) -> None:
    settings = _settings()
    rows = [_row(number, name, settings) for number, name in enumerate(_everybody(settings), 1)]
    offered = asyncio.run(_models(settings)) if models else {}
    if as_json:
        output.json([{**row, **({"models": offered[row["provider"]]} if row["provider"] in offered else {})} for row in rows])
        return
    output.table(("order", "provider", "address", "model", "key"), [tuple(row.values()) for row in rows])
    for name, names in offered.items():
        output.table((f"models of {name}",), [(one,) for one in names])


@app.command(help="Keep a provider's key in the keyring of this computer. It is typed, or read from standard input; never an argument.")
def login(name: str = NAME) -> None:
    if problem := setup.unknown(name, _settings()):
        raise problem
    key = typer.prompt(f"Key of {name}", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    if not key.strip():
        raise SettingsError("No key was given.", "Type it, or pipe it in: `infill providers login NAME < file`.")
    keys.login(name, key.strip())
    output.say(f"The key of {name} is in the keyring. `infill providers test {name}` tries it.")


@app.command(help="Take a provider's key out of the keyring.")
def logout(name: str = NAME) -> None:
    output.say(f"The key of {name} is forgotten." if keys.logout(name) else f"There was no key of {name}.")


@app.command("test", help="Ask each provider one real completion: reach, key, model, fill-in-the-middle, latency.")
def try_(
    names: list[str] | None = typer.Argument(None, metavar="[NAME]...", help="Some only, such as local or openai:work."), as_json: bool = AS_JSON
) -> None:
    checks = asyncio.run(_test(_settings(), names or []))
    if as_json:
        output.json(checks)
    else:
        rows = [(one.provider, "ok" if one.ok else "problem", one.key, one.model, one.fim, one.message) for one in checks]
        output.table(("provider", "verdict", "key", "model", "fills in the middle", "found"), rows)
    if not all(one.ok for one in checks):
        raise typer.Exit(1)


def _settings() -> Settings:
    settings, problems = settings_file.load()
    for sentence in problems:
        output.note(sentence)
    return settings


def _everybody(settings: Settings) -> list[str]:
    return list(dict.fromkeys([*settings.providers.order, *(f"{entry.kind}:{name}" for name, entry in settings.providers.remote.items())]))


def _row(number: int, name: str, settings: Settings) -> dict[str, str]:
    used = str(number) if name in settings.providers.order else "not used"
    if name == setup.LOCAL:
        model = settings.models.complete or state.chosen_model("complete", os.getcwd())  # noqa: PTH109 (as editors name folders)
        return {"order": used, "provider": name, "address": "this machine", "model": setup.local_model(model), "key": "none needed"}
    if setup.unknown(name, settings):
        return {"order": used, "provider": name, "address": "not set up: see providers.remote", "model": "", "key": ""}
    remote = setup.remote(name, settings)
    endpoint = remote.line.endpoint
    return {"order": used, "provider": name, "address": remote.line.url, "model": endpoint.model, "key": keys.source(name, endpoint)}


async def _models(settings: Settings) -> dict[str, list[str]]:
    offered = {}
    for name in _everybody(settings):
        if name != setup.LOCAL and not setup.unknown(name, settings):
            async with contextlib.aclosing(setup.remote(name, settings)) as remote:
                try:
                    offered[name] = [model.name for model in await remote.models()]
                except InfillError as exc:
                    output.note(str(exc))
    return offered


async def _test(settings: Settings, names: list[str]) -> list[check.Check]:
    model = settings.models.complete or state.chosen_model("complete", os.getcwd())  # noqa: PTH109 (as editors name folders)
    local = LocalProvider(settings, lambda: setup.local_model(model), client="infill providers")
    async with contextlib.aclosing(local):
        return await check.try_all(settings, local, names)
