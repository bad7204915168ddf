"""`infill doctor`: is everything here that a completion needs? Each finding is ok, a warning or a problem, and says the next step.

Looks without changing anything: no engine is started and no directory made. llama.cpp is asked in a process that may crash.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
import typer

from infill import __version__, paths, settings_file, state
from infill.cli import output
from infill.engine import launch
from infill.engine.protocol import Status
from infill.errors import InfillError
from infill.models import store
from infill.settings import Settings

app = typer.Typer()

PROBE_SECONDS = 60.0
"""A driver that hangs must not hang this."""
LEAST_FREE_BYTES = 1_000_000_000


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    about: str
    verdict: Literal["ok", "warning", "problem"] = "ok"
    detail: str
    next: str = ""
    """What to do about it; empty where nothing has to be done."""


@app.command(help="Look at everything that a completion needs, and say what to do about what is missing.")
def doctor(as_json: bool = typer.Option(False, "--json", help="Print the findings as JSON.")) -> None:
    settings, problems = settings_file.load()
    findings = [finding for check in CHECKS for finding in check(settings)] + _settings(problems)
    if as_json:
        output.json({"version": __version__, "findings": findings})
    else:
        output.table(("about", "verdict", "found", "next step"), [(one.about, one.verdict, one.detail, one.next) for one in findings])
    if any(one.verdict == "problem" for one in findings):
        raise typer.Exit(1)


def _python(settings: Settings) -> Iterator[Finding]:
    yield Finding(about="infill", detail=f"{__version__} in {Path(__file__).parents[1]}")
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()} ({sys.executable})"
    yield Finding(about="Python", detail=detail)


def _llama(settings: Settings) -> Iterator[Finding]:
    """llama.cpp, its devices and the chosen model, from one throw-away process."""
    model = settings.models.complete or state.chosen_model("complete", str(Path.cwd()))
    try:
        file = store.locate(model) if model.startswith("local:") else None
    except InfillError as exc:
        yield Finding(about="model", verdict="problem", detail=exc.message, next=exc.hint)
        file = None
    try:
        command = [sys.executable, "-m", "infill.engine.probe", *([str(file.path)] if file else [])]
        run = subprocess.run(command, check=False, capture_output=True, timeout=PROBE_SECONDS, cwd=Path(sys.executable).parent)
        report = msgspec.json.decode(run.stdout)
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as exc:
        words = run.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] if isinstance(exc, msgspec.DecodeError) else str(exc)
        again = f"`{sys.executable} -m pip install --force-reinstall --no-cache-dir llama-cpp-python` builds it anew."
        yield Finding(about="llama.cpp", verdict="problem", detail=f"It does not run: {words}", next=again)
        return
    features = " ".join(part.replace(" = 1", "") for part in report["system"].removeprefix("CPU : ").split(" | ") if part.endswith("= 1"))
    yield Finding(about="llama.cpp", detail=f"llama-cpp-python {report['llama_cpp']}: {features}")
    yield from _devices(report)
    if file is not None:
        yield _model(file, report)


def _devices(report: dict[str, object]) -> Iterator[Finding]:
    devices = report["devices"]
    assert isinstance(devices, list)
    for device in devices:
        free, total = device["free_bytes"] / 1e9, device["total_bytes"] / 1e9
        yield Finding(about=f"device {device['name']}", detail=f"{device['description'].strip()}, {free:.1f} of {total:.1f} GB free")
    if shutil.which("nvidia-smi") and not report["gpu_offload"]:
        yield Finding(
            about="GPU",
            verdict="warning",
            detail="There is an NVIDIA driver, but this llama.cpp was built without it: everything runs on the CPU.",
            next="Rebuild it for the GPU: docs/install.md says how.",
        )


def _model(file: store.ModelFile, report: dict[str, object]) -> Finding:
    facts = report["model"]
    if not isinstance(facts, dict):
        return Finding(about="model", verdict="problem", detail=str(report["error"]), next="`infill models list` shows the others.")
    size, context = facts["file_bytes"] / 1e6, facts["trained_context"]
    detail = f"{file.id}: {facts['parameters'] / 1e6:.0f} M parameters, {size:.0f} MB, context {context}"
    if not facts["fim"]:
        return Finding(
            about="model", verdict="problem", detail=f"{detail}. It cannot fill in the middle.", next="Choose another: `infill models list`."
        )
    if file.id == state.BUNDLED:
        hint = "For real work: `infill models recommend` and `infill models download`."
        return Finding(about="model", verdict="warning", detail=f"{detail}; the small one that ships with infill, Python only.", next=hint)
    return Finding(about="model", detail=detail)


def _paths(settings: Settings) -> Iterator[Finding]:
    places: tuple[tuple[str, Callable[[], Path]], ...] = (
        ("settings", paths.config_directory),
        ("models", paths.data_directory),
        ("state", paths.state_directory),
        ("logs", paths.log_directory),
        ("engine's socket", paths.runtime_directory),
    )
    for about, place in places:
        folder = place()
        there = _nearest(folder)
        if there.is_dir() and os.access(there, os.W_OK):
            yield Finding(about=f"folder of {about}", detail=f"{folder}" if folder == there else f"{folder} (made when it is needed)")
        else:
            detail, hint = f"{folder} cannot be written.", "Make it writable, or set INFILL_HOME to a folder of your own."
            yield Finding(about=f"folder of {about}", verdict="problem", detail=detail, next=hint)
    free = shutil.disk_usage(_nearest(paths.data_directory())).free
    low = free < LEAST_FREE_BYTES
    hint = "Make room before downloading a model." if low else ""
    yield Finding(about="disk", verdict="warning" if low else "ok", detail=f"{free / 1e9:.1f} GB free for models", next=hint)


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above that exists."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def _engine(settings: Settings) -> Iterator[Finding]:
    try:
        status = asyncio.run(_ask_engine())
    except InfillError as exc:
        yield Finding(about="engine", verdict="problem", detail=exc.message, next=exc.hint or "`infill engine stop`, then try again.")
        return
    if status is None:
        yield Finding(about="engine", detail="not running; the first completion starts it")
    else:
        models = ", ".join(model.model for model in status.models) or "no model"
        yield Finding(about="engine", detail=f"pid {status.pid}, {status.state}, {models} in memory, {status.resident_bytes / 1e6:.0f} MB")


async def _ask_engine() -> Status | None:
    client = await launch.connect(f"infill doctor (pid {os.getpid()})")
    if client is None:
        return None
    try:
        return await client.status()
    finally:
        await client.aclose()


def _providers(settings: Settings) -> Iterator[Finding]:
    """Every remote provider of the order, asked one real completion; none is set up on most machines."""
    from infill.providers import check, setup

    remote = [name for name in settings.providers.order if name != setup.LOCAL]
    for one in asyncio.run(check.try_all(settings, None, remote)) if remote else ():
        yield Finding(about=one.provider, verdict="ok" if one.ok else "problem", detail=one.message, next="" if one.ok else "docs/providers.md")


def _settings(problems: list[str]) -> list[Finding]:
    file = settings_file.location()
    if not problems:
        return [Finding(about="settings", detail=f"{file} is right" if file.exists() else f"the defaults; {file} would change them")]
    return [
        Finding(about="settings", verdict="warning", detail=problem, next=f"Edit {file}; docs/settings.md names them all.") for problem in problems
    ]


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (_python, _llama, _paths, _engine, _providers)
"""In the order in which people look."""
