"""How long the language server takes to answer in each hostile workspace: `python tests/hostile/measure_answers.py`.

Milliseconds from a request to its answer, by the clock: of `initialize` (with the start of Python), of `infill.status` and of a first completion (the
bundled model; the engine runs already). A completion waits at most 0.8 s for the verdict about its file (`WAIT_SECONDS` in `lsp/rules.py`).
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_workspaces import EVERY, NAME, Build

from infill.engine import transport
from raw_editor import RawEditor


def answers(home: Path, name: str, build: Build) -> dict[str, float]:
    """Milliseconds of each request in one workspace. Raises TimeoutError where an answer is missing."""
    folder = home / f"work{len(list(home.iterdir()))}"
    folder.mkdir()
    build(folder)
    taken: dict[str, float] = {}
    editor = RawEditor(cwd=folder)
    document = (folder / NAME).as_uri()

    def measure(what: str, ask: Any) -> None:
        began = time.perf_counter()
        ask()
        taken[what] = 1000 * (time.perf_counter() - began)

    try:
        measure("initialize", lambda: editor.initialize(folder))
        editor.open(document, "def add(a, b):\n    return ")
        measure("completion", lambda: editor.complete(document, 1, 11))
        measure("status", lambda: editor.command("infill.status"))
        editor.leave()
    finally:
        editor.kill()
    return taken


def main(show: Callable[[str], object] = print) -> None:
    worst: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="inf-", ignore_cleanup_errors=True) as home:
        os.environ["INFILL_HOME"] = home
        workspaces: dict[str, Build] = {"ordinary": lambda folder: None, "ordinary, the engine runs": lambda folder: None, **EVERY}
        for number, (name, build) in enumerate(workspaces.items()):
            taken = answers(Path(home), name, build)
            show(f"{name:>45}: {', '.join(f'{what} {ms:.0f}' for what, ms in taken.items())}")
            worst = {what: max(ms, worst.get(what, 0)) for what, ms in taken.items()} if number > 0 else {}
        show(f"{'worst, in ms':>45}: {worst}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        if (status := transport.read_status(transport.place())) is not None:
            os.kill(status.pid, getattr(signal, "SIGKILL", signal.SIGTERM))


if __name__ == "__main__":
    main()
