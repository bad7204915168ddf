"""Measures the time from the crash of an engine to the next completion: kills the engine and sends requests until one is answered.

    .venv/bin/python tests/engine/measure_recovery.py [KILLS]        prints the median, the 95th percentile and the worst, in milliseconds

After the first crash within five minutes the engine restarts at once; after later ones the provider waits longer each time (`local.BACK_OFF`).
Only the recovery is measured, so each kill uses a new provider. Run it on an idle machine: it prints the load with its figures.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from questions import BUNDLED, answer

from infill.engine import launch
from infill.errors import ProviderError
from infill.providers.local import LocalProvider
from infill.settings import Settings

DEADLINE = 30.0


async def recovery() -> float:
    """Seconds from the kill of a running engine to the end of the next completion with text."""
    local = LocalProvider(Settings(), lambda: BUNDLED)
    try:
        await answer(local)
        running = launch.running()
        if running is None:
            raise SystemExit("no engine is running")
        os.kill(running.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        began = time.monotonic()
        while time.monotonic() - began < DEADLINE:
            try:
                text, _, _ = await answer(local)
            except ProviderError:
                continue  # the request that detects the crash
            if text:
                return time.monotonic() - began
        raise SystemExit(f"no answer within {DEADLINE:.0f} s")
    finally:
        await local.aclose()


async def measured(kills: int) -> list[float]:
    return [await recovery() * 1000 for _ in range(kills)]


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="inf-"))
    os.environ["INFILL_HOME"] = str(home)
    before = os.getloadavg() if hasattr(os, "getloadavg") else (0.0,)
    try:
        times = sorted(asyncio.run(measured(int(sys.argv[1]) if len(sys.argv) > 1 else 20)))
    finally:
        if (engine := launch.running()) is not None:
            os.kill(engine.pid, signal.SIGTERM)
        shutil.rmtree(home, ignore_errors=True)
    figures = f"median {statistics.median(times):.0f} ms, p95 {times[int(len(times) * 0.95) - 1]:.0f} ms, worst {times[-1]:.0f} ms"
    sys.stdout.write(f"{len(times)} kills: {figures} (load before: {before[0]:.1f} on {os.cpu_count()} cores)\n")


if __name__ == "__main__":
    main()
