"""Checks a model by using it, in a process of its own (`infill.engine.check`), and stores the result: on request, and once after it was installed.

download or import  ->  begin(id)  ->  a process `infill models check ID --background`, detached, at the lowest priority
request             ->  check(id)

One check runs at a time. `stop` ends it, and so does removing the model's file.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from infill import paths, state
from infill.errors import InfillError, ModelError
from infill.models import catalog, checked, child, gguf, planning, store
from infill.models.checked import Checked
from infill.models.fit import Plan
from infill.models.store import ModelFile
from infill.settings import Engine
from infill.state import BUNDLED

SWITCH = "INFILL_CHECK"
"""Environment variable: `off` checks models on request only."""
SILENT_SECONDS = 900.0
"""Timeout without progress: a large model on a slow machine takes minutes to load, and for one answer."""
WAIT_SECONDS = 0.1
Progress = Callable[[float, str], None]


def check(
    model_id: str,
    engine: Engine = Engine(),  # noqa: B008 - a frozen value
    progress: Progress = lambda share, what: None,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    background: bool = False,
) -> Checked | None:
    """Check a model and store the result. None when cancelled, or when memory is too low for a background check. Blocks for a minute or more.

    Raises UnknownModel, ModelMissing, BadModelFile, DoesNotFit, or ModelError where it cannot be loaded or crashes.
    """
    file = store.locate(model_id)
    if not gguf.facts(file.path).generates:
        raise ModelError(f"{file.title} is an embedding or reranking model: it does not generate text.", "Choose another: `infill models list`.")
    found = planning.plan_for(file, engine)
    if background and found.judgement != "fits":
        return None
    plan = found.plan or Plan()
    end = checked.stop_file(file.path)
    job = _job(file, _humble(plan) if background else plan, background)
    with _alone(background) as mine, contextlib.suppress(InterruptedError):
        if mine:
            end.unlink(missing_ok=True)
            result = _run(job, progress, lambda: cancelled() or end.exists() or not file.path.exists())
            result = msgspec.structs.replace(result, when=time.time())
            checked.keep(file.path, result)
            return result
    return None


def stop(model_id: str) -> None:
    """Stop a running check of that model in any process. Raises UnknownModel or ModelMissing."""
    file = checked.stop_file(store.locate(model_id).path)
    paths.private_directory(file.parent)
    file.touch()


def is_due(model_id: str) -> bool:
    """Whether a new model needs a check: it was never checked, and SWITCH is not `off`. Never raises."""
    if os.environ.get(SWITCH, "").lower() in ("off", "0"):
        return False
    with contextlib.suppress(InfillError):
        path = store.locate(model_id).path
        return checked.result(path) is None and gguf.facts(path).generates
    return False


def begin(model_id: str) -> bool:
    """Start a check in the background if it is due; returns whether one was started. Never raises."""
    with contextlib.suppress(OSError):
        if is_due(model_id):
            _start_detached([sys.executable, "-m", "infill", "models", "check", model_id, "--background"])
            return True
    return False


def warning(full_id: str) -> str:
    """Problems of a local model in its last check, as sentences; empty: none, or never checked."""
    with contextlib.suppress(InfillError):
        found = checked.result(store.locate(full_id).path)
        return " ".join(found.problems) if found else ""
    return ""


def _start_detached(command: list[str]) -> None:
    more: dict[str, Any] = {"creationflags": child.HIDDEN} if sys.platform == "win32" else {"start_new_session": True}
    nowhere = subprocess.DEVNULL
    subprocess.Popen(command, cwd=Path(sys.executable).parent, env=child.environment(), stdin=nowhere, stdout=nowhere, stderr=nowhere, **more)


@contextlib.contextmanager
def _alone(background: bool) -> Iterator[bool]:
    """Hold the lock for one check at a time. A background check waits for it; one on request fails with ModelError."""
    import filelock

    directory = paths.private_directory(paths.state_directory() / "checks")
    lock = filelock.FileLock(directory / "check.lock", timeout=SILENT_SECONDS if background else 0)
    try:
        with lock:
            yield True
    except filelock.Timeout:
        if not background:
            raise ModelError("Another model check is running.", "Wait until it is done, or end it with `infill models check ID --stop`.") from None
        yield False


def _humble(plan: Plan) -> Plan:
    """The plan with half of the threads, because completions run at the same time."""
    half = max(1, plan.threads // 2)
    return msgspec.structs.replace(plan, threads=half, threads_batch=half)


def _job(file: ModelFile, plan: Plan, background: bool) -> dict[str, Any]:
    """An `engine.check.Job`."""
    entry = catalog.load().entries.get(catalog.short(file.id))
    languages = ("python",) if file.id == BUNDLED else entry.languages if entry else ()
    job = {"id": file.id, "title": file.title, "path": str(file.path), "fim_order": store.find(file.id).fim_order, "languages": languages}
    return {**job, "plan": plan, "background": background}


def _run(job: dict[str, Any], progress: Progress, cancelled: Callable[[], bool]) -> Checked:
    """Run a check. Raises InterruptedError when cancelled, ModelError where it fails."""
    command = child.python("-m", "infill.engine.check", msgspec.json.encode(job).decode())
    heard = time.monotonic()
    with child.running(command) as checking:
        while time.monotonic() - heard < SILENT_SECONDS:
            if cancelled():
                raise InterruptedError
            line = checking.line(WAIT_SECONDS)
            if line:
                heard = time.monotonic()
                said = state.decoded(line, dict[str, Any]) or {}
                if "result" in said:
                    return msgspec.convert(said["result"], Checked)
                if "error" in said:
                    raise ModelError(said["error"], said.get("hint", ""))
                progress(said.get("share", 0.0), "")
            elif line is not None:
                raise ModelError(f"llama.cpp crashed while {job['title']} was checked.", "`infill doctor` says more.")
    raise ModelError(f"The check of {job['title']} took too long.", "Choose a smaller model.")
