"""Tasks that nobody awaits: held until they end, their errors logged, all of them cancelled when the server leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Background:
    """The server's own tasks: whatever asks the editor something, reads files or loads a model, but is not an answer to a request."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(logged(work, name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def logged(work: Coroutine[Any, Any, Any], name: str) -> None:
    """Await `work`; a failure goes to the log alone."""
    try:
        await work
    except Exception:
        logger.exception("%s went wrong", name)
