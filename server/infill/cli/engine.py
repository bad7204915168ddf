"""`infill engine status|start|stop`: the process that runs the model. `status` never starts it."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import msgspec
import typer

from infill import settings_file, state
from infill.cli import output
from infill.engine import launch
from infill.engine.client import EngineClient
from infill.engine.launch import Words
from infill.engine.protocol import Status
from infill.errors import ProviderUnavailable

app = typer.Typer(no_args_is_help=True, help="The process that runs the model: see, start, stop.")

WHO = f"infill engine (pid {os.getpid()})"
AS_JSON = typer.Option(False, "--json", help="Print the facts as JSON.")
SHOWN_LINES = 20
"""Lines of the engine's log on a terminal; `--json` has up to a hundred."""
GONE_SECONDS, LOOK_SECONDS = 10.0, 0.02
"""Seconds in which a stopped engine must exit | between two checks for its exit."""


@app.command(help="Say whether it runs, and what it holds.")
def status(as_json: bool = AS_JSON) -> None:
    found = asyncio.run(_status())
    if found is None:
        _say_none(as_json)
    elif as_json:
        output.json(_facts(found))
    else:
        output.facts(_lines(found))
        output.table(("model", "file", "context", "evaluates", "generates", "slots"), [_row(model) for model in found.models])
        for model in found.models:
            if model.restricted:
                output.note(f"{model.model}: {model.restricted}")
        _say_last_lines()


@app.command(help="Start it, unless it runs, and load the chosen model.")
def start(
    load: bool = typer.Option(True, "--load/--no-load", help="Have the model in memory before saying so."),
    as_json: bool = AS_JSON,
) -> None:
    found = asyncio.run(_start(load))
    if as_json:
        output.json(_facts(found))
    else:
        output.say(f"The engine runs (pid {found.pid}), with {', '.join(model.model for model in found.models) or 'no model'} in memory.")


@app.command(help="Ask it to leave; editors start it again when they need it.")
def stop(as_json: bool = AS_JSON) -> None:
    pid = asyncio.run(_stop())
    if as_json:
        output.json({"running": False, "stopped": pid})
    else:
        output.say(f"Stopped the engine (pid {pid})." if pid else "No engine is running.")


async def _status() -> Status | None:
    client = await launch.connect(WHO)
    if client is None:
        return None
    try:
        return await client.status()
    finally:
        await client.aclose()


async def _start(load: bool) -> Status:
    settings, problems = settings_file.load()
    for sentence in problems:
        output.note(sentence)
    client = await launch.connect_or_start(WHO)
    try:
        client.configure(settings.engine)
        if load:
            await client.load(settings.models.complete or state.chosen_model("complete", os.getcwd()))  # noqa: PTH109 - as editors name folders
        return await client.status()
    finally:
        await client.aclose()


async def _stop() -> int | None:
    client = await launch.connect(WHO)
    if client is None:
        return None
    pid = client.pid
    try:
        await _ask_to_stop(client)
        await _gone(pid)
    finally:
        await client.aclose()
    return pid


async def _ask_to_stop(client: EngineClient) -> None:
    try:
        await client.shutdown()
    except ProviderUnavailable:
        # it closed the connection before its reply, so it is stopping as requested
        return


async def _gone(pid: int) -> None:
    end = asyncio.get_running_loop().time() + GONE_SECONDS
    while launch.running() is not None:
        if asyncio.get_running_loop().time() > end:
            raise ProviderUnavailable(f"The engine (pid {pid}) acknowledged the stop request but is still running.", f"`kill {pid}` ends it.")
        await asyncio.sleep(LOOK_SECONDS)


def _say_none(as_json: bool) -> None:
    if as_json:
        output.json({"running": False, **_last_lines()})
    else:
        output.say("No engine is running; the first completion starts it.")
        _say_last_lines()


def _last_lines() -> dict[str, Any]:
    """The last error output of the engine, or of the previous one."""
    words = launch.last_words()
    if words is None:
        return {}
    return {"lastLines": words.lines, "lastLinesOf": _whose(words), "lastLinesWritten": _time(words.written)}


def _say_last_lines() -> None:
    words = launch.last_words()
    if words is None:
        return
    intro = "Last lines of the engine" if words.running else f"Last lines of {_whose(words)}, at {_time(words.written)}"
    output.say("\n  ".join([f"{intro}:", *words.lines[-SHOWN_LINES:]]))


def _whose(words: Words) -> str:
    if words.running:
        return "the engine"
    return f"an earlier engine, which crashed ({words.signal})" if words.signal else "an earlier engine"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _facts(found: Status) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(found)
    for inner in ("type", "id"):
        facts.pop(inner, None)
    defaults = {"models": [], "clients": [], "waiting": 0, "background": "", "loading": "", "resident_bytes": 0}
    return {"running": True, **_last_lines(), **defaults, **facts, "clients": [name for name in found.clients if name != WHO]}


def _lines(found: Status) -> list[tuple[str, str]]:
    doing = found.background or (f"loading {found.loading}" if found.loading else "")
    return [
        ("engine", f"pid {found.pid}, version {found.version}, {found.state}"),
        ("memory", f"{found.resident_bytes / 1e6:.0f} MB"),
        ("up", f"{_duration(found.uptime_seconds)}, idle for {_duration(found.idle_seconds)}"),
        ("clients", ", ".join(name for name in found.clients if name != WHO) or "none"),
        ("queued requests", str(found.waiting)),
        ("background task", doing or "none"),
    ]


def _row(model: Any) -> tuple[str, ...]:
    return (
        model.model,
        f"{model.file_bytes / 1e6:.0f} MB",
        f"{model.context} tokens",
        f"{model.evaluate_per_second:.0f} tokens/s" if model.evaluate_per_second else "not measured yet",
        f"{model.generate_per_second:.0f} tokens/s" if model.generate_per_second else "not measured yet",
        ", ".join(f"{slot.slot.rpartition('/')[2]} ({slot.tokens} tokens)" for slot in model.slots) or "none",
    )


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
