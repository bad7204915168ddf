"""`infill doctor`: checks everything that a completion needs. Each finding is ok, a warning or a problem with the next step.

Changes nothing but caches: starts no engine and loads no model. llama.cpp is tested in a child process, because it may crash.
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

from infill import __version__, continuation, paths, settings_file, state
from infill.cli import output
from infill.engine import launch
from infill.engine.protocol import Status
from infill.errors import InfillError
from infill.models import gguf, hardware, library, planning, store
from infill.models.fit import amount
from infill.settings import Settings

app = typer.Typer()

Verdict = Literal["ok", "warning", "problem"]
PROBE_SECONDS = 60.0
"""Timeout of the child process in seconds: a driver may hang."""
LEAST_FREE_BYTES = 1_000_000_000


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check."""

    about: str
    verdict: Verdict = "ok"
    detail: str
    next: str = ""
    """What to do about it; empty if nothing."""


@app.command(help="Look at everything that a completion needs, and say what to do about what is missing.")
def doctor(
    as_json: bool = typer.Option(False, "--json", help="Print the findings as JSON."),
    kernels: bool = typer.Option(False, "--kernels", help="Test whether llama.cpp computes rightly here, for five kinds of weights, and how fast."),
    again: bool = typer.Option(False, "--again", help="With --kernels: forget which kernels failed on this machine, and test again."),
) -> None:
    settings, problems = settings_file.load()
    if kernels:
        from infill.cli.kernels import findings as tested

        findings = list(tested(again=again))
    else:
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
    """Tests llama.cpp in a child process. After a crash, its last output is the best available hint."""
    again = f"`{sys.executable} -m pip install --force-reinstall --no-cache-dir llama-cpp-python` builds it again."
    try:
        run = subprocess.run(
            [sys.executable, "-m", "infill.engine.probe"],
            check=False,
            capture_output=True,
            timeout=PROBE_SECONDS,
            cwd=Path(sys.executable).parent,
            env=library.environment(),
        )
        report = msgspec.json.decode(run.stdout)
    except msgspec.DecodeError:
        words = run.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or f"it ended with code {run.returncode}"
        yield Finding(about="llama.cpp", verdict="problem", detail=f"It does not run: {words}", next=again)
    except (OSError, subprocess.TimeoutExpired) as exc:
        yield Finding(about="llama.cpp", verdict="problem", detail=f"It does not run: {exc}", next=again)
    else:
        features = " ".join(part.replace(" = 1", "") for part in report["system"].removeprefix("CPU : ").split(" | ") if part.endswith("= 1"))
        made = library.current()
        where = f", built here in {made.directory}" if made else ""
        yield Finding(about="llama.cpp", detail=f"llama-cpp-python {report['llama_cpp']}{where}: {features}")


def _machine(settings: Settings) -> Iterator[Finding]:
    found = hardware.machine(fresh=True)
    yield Finding(about="machine", detail=hardware.summary(found))
    for card in found.gpus:
        yield Finding(about=f"device {card.name}", detail=f"{card.title}, {amount(card.free)} of {amount(card.total)} free")
    if found.nvidia and not found.gpus:
        names = ", ".join(card.title for card in found.nvidia)
        detail = f"{names}: not used, this llama.cpp was built without it."
        yield Finding(about="GPU", verdict="warning", detail=detail, next="`infill build` makes one that uses it.")
    for name in found.npus:
        yield Finding(about="NPU", detail=f"{name}: there, and not used")
    for problem in found.problems:
        yield Finding(about="devices", verdict="warning", detail=problem, next="Look at the lines about llama.cpp here.")


def _model(settings: Settings) -> Iterator[Finding]:
    """Checks the chosen model: installed, complete, of the right kind, and small enough for memory."""
    model = settings.models.complete or state.chosen_model("complete", str(Path.cwd()))
    if not model.startswith("local:"):
        yield Finding(about="model", detail=f"{model}, which a remote provider has")
        return
    try:
        file = store.locate(model)
        facts = gguf.facts(file.path)
        fitting = planning.fit_of(file, settings.engine, hardware.machine())
    except InfillError as exc:
        yield Finding(about="model", verdict="problem", detail=exc.message, next=exc.hint or "`infill models list` shows the others.")
        return
    detail = f"{file.id}: {facts.parameters / 1e6:.0f} M parameters, {amount(facts.file_bytes)}, context {facts.context}"
    if not facts.fim:
        hint = "For suggestions that fit the code after the cursor: `infill models recommend`."
        yield Finding(about="model", verdict="warning", detail=f"{detail}. {continuation.REMARK}", next=hint)
    elif file.id == state.BUNDLED:
        hint = "For real work: `infill models recommend`, then `infill models download`."
        yield Finding(about="model", verdict="warning", detail=f"{detail}; the small one that ships with infill, Python only.", next=hint)
    else:
        yield Finding(about="model", detail=detail)
    verdict: Verdict = "problem" if fitting.plan is None else "warning" if fitting.judgement == "tight" else "ok"
    hint = "" if verdict == "ok" else "`infill models recommend` names one that fits better."
    yield Finding(about="fit", verdict=verdict, detail=fitting.sentence, next=hint)


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
    """The folder itself, or its nearest existing parent."""
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
    """Sends one real completion request to every remote provider in the order; most machines have none."""
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


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (_python, _llama, _machine, _model, _paths, _engine, _providers)
"""The checks in the order of the output."""
