"""Where something may be suggested, and what of it may leave this machine: settings, exclude patterns, read-only places, the privacy rules.

The file system is only asked in a thread, and remembered for a while; where nothing is known yet, nothing is sent and nothing is read as context.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from infill.lsp.documents import Document, Documents
from infill.privacy.files import Guard
from infill.settings import Settings

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

REMEMBERED_SECONDS = 15.0
"""How long a verdict about a file stands: ignore files and rights change seldom."""
READ_ONLY_SCHEMES = frozenset({"git", "gitlens", "output", "debug", "vscode-scm", "vscode-settings", "chat-editing-text-model", "jdt", "zipfile"})
"""What editors show and nobody can edit."""


class Verdict(msgspec.Struct, frozen=True):
    """What is known about one file."""

    refused: str = "it has not been looked at yet"
    """Why its text must not be sent to a remote provider nor serve as context; empty: it may."""
    read_only: bool = False
    at: float = -REMEMBERED_SECONDS


class Rules:
    """Asked for every document that something is wanted from."""

    def __init__(self, documents: Documents, clock: Callable[[], float] = time.monotonic) -> None:
        self._documents = documents
        self._clock = clock
        self._verdicts: dict[str, Verdict] = {}
        self._settings = Settings()
        self._guard = Guard([], self._settings.privacy)
        self._exclude: GitIgnoreSpec | None = None

    def configure(self, settings: Settings) -> None:
        """Take new settings, or new folders."""
        self._settings = settings
        self._guard = Guard(self._documents.folders, settings.privacy)
        self._exclude = _patterns(settings.exclude)
        self._verdicts.clear()

    def known(self, document: Document) -> Verdict:
        """What is known without asking anybody."""
        if document.path is None:
            return Verdict(refused="")
        return self._verdicts.get(document.identity, Verdict())

    async def judge(self, document: Document) -> Verdict:
        """What is true now, within REMEMBERED_SECONDS."""
        verdict = self.known(document)
        path = document.path
        if path is not None and verdict.at + REMEMBERED_SECONDS <= self._clock():
            guard, now = self._guard, self._clock()
            size = sum(map(len, document.text.lines))
            verdict = Verdict(*await asyncio.to_thread(_look, guard, path, size), now)
            if guard is self._guard:
                self._verdicts[document.identity] = verdict
        return verdict

    def forget(self, document: Document) -> None:
        self._verdicts.pop(document.identity, None)

    def disabled(self, document: Document, verdict: Verdict) -> str:
        """Why nothing may be suggested in this document, as a sentence part; empty: it may."""
        settings, scheme = self._settings, document.uri.partition(":")[0]
        if not settings.enabled:
            return "infill is switched off"
        if not settings.languages.get(document.language, True):
            return f"infill is switched off for {document.language}"
        if scheme in READ_ONLY_SCHEMES or verdict.read_only:
            return "the document is read-only"
        if self._exclude is not None and (path := document.path) is not None and self._exclude.match_file(self._documents.relative(path)):
            return "the setting infill.exclude names this file"
        return ""


def _look(guard: Guard, path: Path, size: int) -> tuple[str, bool]:
    try:
        read_only = path.exists() and not os.access(path, os.W_OK)
    except (OSError, ValueError):  # a path that no file can have
        return "its path cannot be read", False
    return guard.refusal(path, size), read_only


def _patterns(patterns: list[str]) -> GitIgnoreSpec | None:
    if not patterns:
        return None
    from pathspec import GitIgnoreSpec

    usable: list[Any] = []
    for pattern in patterns:
        with contextlib.suppress(ValueError):  # as git does: a pattern that makes no sense names nothing
            usable += GitIgnoreSpec.from_lines([pattern]).patterns
    return GitIgnoreSpec(usable)
