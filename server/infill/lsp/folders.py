"""Watches the folders of `models.folders` while an editor is connected, so that added and removed models are listed without a restart.

It polls, because network drives and containers send no change events. One poll lists the names in the folders.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from infill.errors import InfillError
from infill.lsp.background import Background

if TYPE_CHECKING:
    from infill.models.importing import Followed

EVERY_SECONDS = 2.0
SHARE = 0.01
"""Largest share of the time that polling may use: a huge folder is polled less often."""

logger = logging.getLogger(__name__)


class Folders:
    """Polls the folders and announces changes."""

    def __init__(self, notify: Callable[[str, Any], None], background: Background) -> None:
        self._notify = notify
        self._background = background
        self._watched: list[str] = []
        self._watch: asyncio.Task[None] | None = None
        self._open = False

    def open(self) -> None:
        """Start notifications: the editor is initialized."""
        self._open = True
        self._start()

    def configure(self, folders: Sequence[str]) -> None:
        """Watch these folders instead of the former ones."""
        if list(folders) != self._watched:
            self._watched = list(folders)
            self._start()

    def _start(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._open and self._watched:
            self._watch = self._background.start(self._follow(self._watched), "watching models.folders")

    async def _follow(self, folders: list[str]) -> None:
        from infill.models import importing

        seen, arriving = None, False
        while True:
            began = time.monotonic()
            # model commands report a store that cannot be written, the listing a folder that cannot be read; the next poll tries again
            with contextlib.suppress(InfillError, OSError):
                now = await asyncio.to_thread(importing.look_at, folders)
                if now != seen or arriving:
                    followed = await asyncio.to_thread(importing.follow, folders)
                    seen, arriving = now, bool(followed.arriving)
                    self._tell(followed)
            await asyncio.sleep(max(EVERY_SECONDS, (time.monotonic() - began) / SHARE))

    def _tell(self, followed: Followed) -> None:
        if followed.added or followed.removed:
            logger.info("models.folders: %d came, %d went", len(followed.added), len(followed.removed))
            self._notify("infill/modelsChanged", {"added": followed.added, "removed": followed.removed})
