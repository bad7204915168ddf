"""`window/workDoneProgress`: one progress bar in the editor for each long task. Does nothing if the editor does not support progress."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from infill.lsp.background import Background

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer


class Progress:
    """Opens progress bars."""

    def __init__(self, server: LanguageServer, background: Background) -> None:
        self._server = server
        self._background = background

    def begin(self, title: str, cancel: Callable[[], None] | None = None) -> Bar:
        """Start a bar; `cancel` is called when the user cancels it."""
        bar = Bar(self._server, title, cancel)
        if get_capability(self._server.client_capabilities, "window.work_done_progress", False):
            # in its own task: creating a bar is a request to the editor, which code that can be cancelled must not await
            self._background.start(bar.open(), "opening a progress bar")
        return bar


class Bar:
    """The progress bar of one task."""

    def __init__(self, server: LanguageServer, title: str, cancel: Callable[[], None] | None) -> None:
        self._progress = server.work_done_progress
        self._title = title
        self._cancel = cancel
        self._token = str(uuid.uuid4())
        self._open = False
        self._latest: types.WorkDoneProgressReport | None = None
        self._last_words: str | None = None

    async def open(self) -> None:
        try:
            await self._progress.create_async(self._token)
        except JsonRpcException:
            return
        begin = types.WorkDoneProgressBegin(title=self._title, cancellable=self._cancel is not None, percentage=0)
        self._progress.begin(self._token, begin)
        self._progress.tokens[self._token].add_done_callback(self._cancelled)
        self._open = True
        if self._latest is not None:
            self._progress.report(self._token, self._latest)
        if self._last_words is not None:
            self.end(self._last_words)

    def report(self, share: float, message: str = "") -> None:
        """Show the progress (0 to 1) and a message."""
        percentage = max(0, min(100, int(share * 100)))
        report = types.WorkDoneProgressReport(message=message or None, percentage=percentage)
        if report != self._latest:
            self._latest = report
            if self._open:
                self._progress.report(self._token, report)

    def end(self, message: str = "") -> None:
        self._last_words = message
        if self._open:
            self._open = False
            self._progress.end(self._token, types.WorkDoneProgressEnd(message=message or None))
            self._progress.tokens.pop(self._token, None)

    def _cancelled(self, future: Future[None]) -> None:
        if future.cancelled() and self._cancel is not None:
            self._cancel()
