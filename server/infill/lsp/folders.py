"""Watches the folders of `models.folders` as long as an editor is connected: what comes and goes there is offered or no longer, without a restart.

The folders are looked at, not listened to: network drives and containers tell nobody of their changes. A look costs a list of names.
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
"""Of the time, that looking may take at the most: a huge folder is looked at less often."""

logger = logging.getLogger(__name__)


class Folders:
    """The watch over them."""

    def __init__(self, notify: Callable[[str, Any], None], background: Background) -> None:
        self._notify = notify
        self._background = background
        self._watched: list[str] = []
        self._watch: asyncio.Task[None] | None = None
        self._open = False

    def open(self) -> None:
        """The editor listens from now on."""
        self._open = True
        self._start()

    def configure(self, folders: Sequence[str]) -> None:
        """Watch these from now on."""
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
            # a store that cannot be written now is told to whoever uses it, a folder that cannot be read in the listing; the next look tries again
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
