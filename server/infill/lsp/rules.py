"""Whether suggestions are allowed in a document, and whether its text may be sent: settings, exclude patterns, read-only files, privacy rules.

File system access runs in a thread, and its results are cached. Until a file is checked, its text is neither sent nor used as context.
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TypeAlias
from urllib.parse import unquote

import msgspec

from infill.completion.types import Indentation
from infill.lsp.documents import Document, Documents
from infill.lsp.pause import Pause
from infill.privacy import editorconfig
from infill.privacy.files import MOST_FOLDERS, Guard, names_a_secret
from infill.privacy.ignore_rules import IgnoreRules, NotJudged
from infill.settings import Settings

REMEMBERED_SECONDS = 15.0
"""How long a file's verdict is valid: ignore files and permissions seldom change."""
RENEWAL_SECONDS = 10.0
"""Age at which a request renews a verdict in the background, so that frequent requests never wait for one."""
WAIT_SECONDS = 0.8
"""How long a request waits for a verdict. After that the file is refused: the file system or the rules are too slow."""
CONTEXT_SECONDS = 0.1
"""Total wait for the verdicts of all files that serve as context."""
EXCLUDE_SECONDS = 0.05
"""Limit of CPU seconds to match one file with the setting `exclude`. A workspace may set it, and matching blocks the event loop."""
MOST_VERDICTS = 2_000
"""Number of files whose verdict is kept; the oldest are dropped."""
READ_ONLY_SCHEMES = frozenset({"git", "gitlens", "output", "debug", "vscode-scm", "vscode-settings", "chat-editing-text-model", "jdt", "zipfile"})
"""Schemes of documents that editors show read-only."""


Looking: TypeAlias = "asyncio.Future[tuple[str, bool, Indentation]]"


class Verdict(msgspec.Struct, frozen=True):
    """The result of the check of one file."""

    refused: str = "it has not been looked at yet"
    """Why its text must not be sent to a remote provider or used as context; empty: it may."""
    read_only: bool = False
    indentation: Indentation = Indentation()
    """From `.editorconfig`."""
    at: float = -REMEMBERED_SECONDS


LATE = Verdict(refused="its rules could not be evaluated in time")


class Rules:
    """Checks documents before they are used, and caches the verdicts."""

    def __init__(self, documents: Documents, clock: Callable[[], float] = time.monotonic) -> None:
        self._documents = documents
        self._clock = clock
        self._verdicts: dict[str, Verdict] = {}
        self._looking: dict[str, Looking] = {}
        # its own threads: a file system that hangs must not block the default executor
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="rules")
        self._settings = Settings()
        self._guard = Guard([], self._settings.privacy)
        self._pause = Pause()
        self._exclude, self._broken = IgnoreRules(), ""
        self._excluded: dict[str, str] = {}
        """For each document, why the setting `exclude` disables it; empty: it does not."""

    def configure(self, settings: Settings) -> None:
        """Use new settings or workspace folders."""
        self._settings = settings
        self._guard = Guard(self._documents.folders, settings.privacy)
        self._exclude, self._broken = IgnoreRules(), ""
        try:
            self._exclude = IgnoreRules(settings.exclude)
        except NotJudged as exc:
            self._broken = f"the setting infill.exclude cannot be evaluated: {exc}"
        self._verdicts.clear()
        self._excluded.clear()
        self._looking.clear()

    def known(self, document: Document) -> Verdict:
        """The verdict that is known without file system access."""
        if document.path is None:  # an old version of a file, or a remote one: only its name can be checked
            secret = names_a_secret(PurePosixPath(unquote(document.uri.partition(":")[2]).partition("?")[0]))
            return Verdict(refused="its name says that it holds secrets" if secret else "")
        return self._verdicts.get(document.identity, Verdict())

    async def judge(self, document: Document) -> Verdict:
        """A verdict at most REMEMBERED_SECONDS old; a refusal if there is none within WAIT_SECONDS."""
        verdict = self.known(document)
        if document.path is None or verdict.at + REMEMBERED_SECONDS > self._clock():
            return verdict
        looking = self._looking.get(document.identity) or self._look(document, document.path)
        await asyncio.wait({looking}, timeout=WAIT_SECONDS)
        if looking.done():
            return _verdict(looking, self._clock())
        self._verdicts[document.identity] = LATE
        return LATE

    async def renew(self, documents: Iterable[Document]) -> None:
        """Check files that serve as context again: an ignore file may name them now.

        Afterwards each of their verdicts is younger than REMEMBERED_SECONDS or a refusal. Waits at most CONTEXT_SECONDS, and not for files
        whose check is already running.
        """
        waited: list[Looking] = []
        expired: list[str] = []
        for document in documents:
            age = self._clock() - self.known(document).at
            if document.path is None or age < RENEWAL_SECONDS:
                continue
            looking = None if document.identity in self._looking else self._look(document, document.path)
            if age >= REMEMBERED_SECONDS:
                expired.append(document.identity)
                waited += [looking] if looking else []
        if waited:
            await asyncio.wait(waited, timeout=CONTEXT_SECONDS)
        for identity in expired:
            if identity in self._looking:
                self._verdicts[identity] = LATE

    def forget(self, document: Document) -> None:
        self._verdicts.pop(document.identity, None)
        self._looking.pop(document.identity, None)

    def _look(self, document: Document, path: Path) -> Looking:
        size = sum(map(len, document.text.lines))
        looking = asyncio.get_running_loop().run_in_executor(self._threads, _look, self._guard, path, size, self._documents.folder(path))
        self._looking[document.identity] = looking
        looking.add_done_callback(functools.partial(self._looked, document.identity))
        return looking

    def _looked(self, identity: str, looking: Looking) -> None:
        if self._looking.get(identity) is looking:  # else it was closed, or the settings have changed since
            del self._looking[identity]
            self._verdicts.pop(identity, None)
            self._verdicts[identity] = _verdict(looking, self._clock())
            while len(self._verdicts) > MOST_VERDICTS:
                del self._verdicts[next(iter(self._verdicts))]

    def paused(self) -> str:
        """Why automatic suggestions are paused; empty: they are not."""
        return self._pause.reason(self._settings.completion)

    def disabled(self, document: Document, verdict: Verdict) -> str:
        """Why suggestions are disabled in this document, as a sentence part; empty: they are not."""
        settings, scheme = self._settings, document.uri.partition(":")[0]
        if not settings.enabled:
            return "infill is switched off"
        if not settings.languages.get(document.language, True):
            return f"infill is switched off for {document.language}"
        if scheme in READ_ONLY_SCHEMES or verdict.read_only:
            return "the document is read-only"
        if self._broken:
            return self._broken
        if document.identity not in self._excluded:
            while len(self._excluded) >= MOST_VERDICTS:
                del self._excluded[next(iter(self._excluded))]
            self._excluded[document.identity] = self._exclusion(document)
        return self._excluded[document.identity]

    def _exclusion(self, document: Document) -> str:
        path = self._documents.relative(document.path)
        if not path:
            return ""
        if path.count("/") > MOST_FOLDERS and self._settings.exclude:
            return f"the setting infill.exclude is not evaluated for a file more than {MOST_FOLDERS} folders deep"
        try:
            excluded = self._exclude.ignores(path, time.thread_time() + EXCLUDE_SECONDS)
        except NotJudged as exc:
            return f"the setting infill.exclude cannot be evaluated: {exc}"
        return "the setting infill.exclude names this file" if excluded else ""


def _verdict(looking: Looking, now: float) -> Verdict:
    if looking.cancelled() or looking.exception() is not None:
        return Verdict(refused="its rules could not be evaluated")
    return Verdict(*looking.result(), now)


def _look(guard: Guard, path: Path, size: int, folder: Path | None) -> tuple[str, bool, Indentation]:
    try:
        read_only = path.exists() and not os.access(path, os.W_OK)
    except (OSError, ValueError):  # an invalid path
        return "its path cannot be read", False, Indentation()
    return guard.refusal(path, size), read_only, _declared(path, folder) if folder else Indentation()


def _declared(path: Path, folder: Path) -> Indentation:
    said = editorconfig.properties(path, folder)
    tab, size = editorconfig.columns(said.get("tab_width")), editorconfig.columns(said.get("indent_size"))
    tabs = {"tab": True, "space": False}.get(said.get("indent_style", ""))
    return Indentation(tabs=tabs, step=size or tab, tab=tab or size)
