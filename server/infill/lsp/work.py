"""Long work in threads, each with a progress bar and two ways to stop it: the bar's own button, and cancelling the request that wants it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from infill.lsp.progress import Progress

T = TypeVar("T")
Report = Callable[[float, str], None]
"""How far it is (0 to 1), and in words; callable from any thread."""
Cancelled = Callable[[], bool]
ENDING_SECONDS = 5.0
"""How long a cancelled thread may take to notice."""


class LongWork:
    """Runs what takes seconds or minutes beside the event loop."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._flags: set[threading.Event] = set()

    async def run(self, title: str, work: Callable[[Report, Cancelled], T]) -> T:
        """Do `work` in a thread. It has to look at its second argument now and then, and end when that says so."""
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
            # the thread still holds its files: whoever tries again at once must not find them taken
            flag.set()
            await asyncio.wait({thread}, timeout=ENDING_SECONDS)
            raise
        finally:
            flag.set()
            self._flags.discard(flag)
            bar.end()

    def stop_all(self) -> None:
        """The editor leaves: nobody waits for any of it."""
        for flag in tuple(self._flags):
            flag.set()
