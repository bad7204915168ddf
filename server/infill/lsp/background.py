"""Tasks that no request awaits. Keeps them until they end, logs their errors, and cancels them when the server exits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Background:
    """The server's own tasks, such as requests to the editor, file reads and model loading."""

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
    """Await `work`; an exception is logged, not raised."""
    try:
        await work
    except Exception:
        logger.exception("%s went wrong", name)
