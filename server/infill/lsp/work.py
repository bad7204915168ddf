"""Runs long tasks in threads, each with a progress bar. A task stops by the bar's cancel button or when its request is cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from infill.lsp.progress import Progress

T = TypeVar("T")
Report = Callable[[float, str], None]
"""Reports the progress (0 to 1) and a message; callable from any thread."""
Cancelled = Callable[[], bool]
ENDING_SECONDS = 5.0
"""How long a cancelled thread may take to stop."""


class LongWork:
    """Runs tasks of seconds or minutes outside the event loop."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._flags: set[threading.Event] = set()

    async def run(self, title: str, work: Callable[[Report, Cancelled], T]) -> T:
        """Run `work` in a thread. It must call its second argument regularly, and return when that is true."""
        loop, flag = asyncio.get_running_loop(), threading.Event()
        bar = self._bars.begin(title, cancel=flag.set)
        self._flags.add(flag)

        def report(share: float, message: str) -> None:
            if not flag.is_set():
                loop.call_soon_threadsafe(bar.report, share, message)

        thread = asyncio.ensure_future(asyncio.to_thread(work, report, flag.is_set))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            # wait for the thread to close its files, so that an immediate retry does not find them locked
            flag.set()
            await asyncio.wait({thread}, timeout=ENDING_SECONDS)
            raise
        finally:
            flag.set()
            self._flags.discard(flag)
            bar.end()

    def stop_all(self) -> None:
        """Stop all work, because the editor has disconnected."""
        for flag in tuple(self._flags):
            flag.set()
