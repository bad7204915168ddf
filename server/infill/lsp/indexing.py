"""Keeps the index of the open workspace folders up to date while `context.index` is on: queues folders for the builder when files change.

While the setting is off, no index module is imported. Disk access runs in a thread. A builder starts after PAUSE_SECONDS without a change.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from infill.errors import InfillError
from infill.lsp.background import Background
from infill.lsp.documents import Documents
from infill.lsp.messages import Messages
from infill.settings import Settings

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

PAUSE_SECONDS = 3.0
"""Seconds without a change before a builder is started."""
LOOK_SECONDS = 30.0
"""Interval for reading the builder's status."""

logger = logging.getLogger(__name__)


class Indexing:
    """Requests the index of each workspace folder."""

    def __init__(self, server: LanguageServer, documents: Documents, messages: Messages, background: Background) -> None:
        self._server = server
        self._documents = documents
        self._messages = messages
        self._background = background
        self._settings = Settings()
        self._asked: tuple[object, ...] = ()
        self._open = False
        self._waiting: asyncio.Task[None] | None = None
        self._watching = False

    def open(self) -> None:
        """Start: the editor is initialized."""
        self._open = True
        self._configured()

    def configure(self, settings: Settings) -> None:
        """Use new settings or workspace folders."""
        self._settings = settings
        self._configured()

    @property
    def _on(self) -> bool:
        return self._open and self._settings.enabled and self._settings.context.index

    def _configured(self) -> None:
        asked = (tuple(self._documents.folders), self._settings.privacy) if self._on else ()
        if asked != self._asked:
            self._asked = asked
            self._request()
        if self._on and not self._watching:
            self._watching = True
            self._background.start(self._watch(), "watching files")
            self._background.start(self._tell(), "following the index")

    async def on_watched_files(self, params: types.DidChangeWatchedFilesParams) -> None:
        self._request()

    def saved(self) -> None:
        """Request an index after a save, for editors that do not watch files."""
        self._request()

    async def status(self) -> list[dict[str, Any]]:
        """Status of the index of each workspace folder; empty if the index is off."""
        return await asyncio.to_thread(_read, list(self._documents.folders)) if self._on else []

    def _request(self) -> None:
        """Index all folders after a pause; each further change restarts the pause."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if self._on and self._documents.folders:
            self._waiting = self._background.start(self._after_pause(), "indexing")

    async def _after_pause(self) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        try:
            await asyncio.to_thread(_start, list(self._documents.folders), self._settings)
        except (InfillError, OSError) as exc:
            logger.warning("the index is not built: %s", exc)
            self._messages.say(f"The workspace cannot be indexed: {exc}", types.MessageType.Warning)

    async def _watch(self) -> None:
        if not get_capability(self._server.client_capabilities, "workspace.did_change_watched_files.dynamic_registration", False):
            return
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers=[types.FileSystemWatcher(glob_pattern="**/*")])
        wish = types.Registration(id="infill-files", method=types.WORKSPACE_DID_CHANGE_WATCHED_FILES, register_options=options)
        try:
            await self._server.client_register_capability_async(types.RegistrationParams(registrations=[wish]))
        except JsonRpcException:
            logger.info("the editor watches no files")

    async def _tell(self) -> None:
        """Show once why an index is incomplete or was rebuilt."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for said in await self.status():
                for sentence in (said["problem"], said["rebuilt"]):
                    if sentence:
                        self._messages.say(f"{said['folder']}: {sentence}")


def _start(folders: list[Path], settings: Settings) -> None:
    """Queue all folders and start a builder. Raises InfillError and OSError."""
    from infill.index import queue

    for folder in folders:
        if folder.is_dir():
            queue.put(queue.Job(folder=str(folder), privacy=settings.privacy))
    queue.start_builder()


def _read(folders: list[Path]) -> list[dict[str, Any]]:
    import msgspec

    from infill.index.folders import read_status

    return [msgspec.structs.asdict(said) for folder in folders if (said := read_status(folder)) is not None]
