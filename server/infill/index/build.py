"""Updates the index of one folder: adds new and changed files, removes deleted and excluded ones. Limited in files, bytes and time.

Each batch is committed, so that the next builder continues where a killed one stopped. A file that was being parsed when the builder was killed is
skipped until it changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from infill.errors import InfillError
from infill.index import database, folders
from infill.index.database import Database, Known
from infill.index.folders import IndexStatus
from infill.index.outline import Outline, outline
from infill.index.queue import Job
from infill.index.scan import Found, scan
from infill.privacy import workspace_files
from infill.privacy.files import Guard
from infill.privacy.secrets import mask

BATCH_FILES = 200
"""Files that are committed together."""
MOST_SECONDS = 900.0
"""CPU time of one run; the next run continues."""
LEAST_FREE = 256 * 1024 * 1024
"""Bytes that must stay free on the disk."""
BINARY_BYTES = 8192
"""A file with a NUL in so many first bytes is binary."""
FULL = "The index is incomplete: "
_SUSPICIOUS = re.compile(r"[\"'`]|://|\d|[A-Za-z0-9+/=-]{20,}|(?i:key|token|secret|pass)")
"""Every secret matches this. Other lines are not scanned for secrets, which takes a third of a millisecond each."""

logger = logging.getLogger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one run."""

    files: int = 100_000
    bytes: int = database.MOST_BYTES
    seconds: float = MOST_SECONDS
    free: int = LEAST_FREE


class Stopped(Exception):
    """A limit was reached; the text is a sentence part."""


def build(job: Job, rest: Callable[[], None] = lambda: None, limits: Limits = Limits()) -> IndexStatus:  # noqa: B008 - frozen
    """Index a folder; returns the status that is also written. `rest` is called after each file, and may sleep.

    Raises InfillError if the state folder cannot be written, and the exceptions of `rest`.
    """
    workspace = Path(job.folder)
    file = folders.database(workspace)
    if job.rebuild:
        database.delete(file)
    try:
        return _run(workspace, job, file, rest, limits)
    except sqlite3.DatabaseError as exc:
        if _cannot_be_written(exc):
            return _failed(job, exc)
        logger.warning("the index of a folder is built anew: %s", exc)
        rebuilt = "" if "another version" in str(exc) else "The index was damaged and has been built anew."
    database.delete(file)
    try:
        return _run(workspace, job, file, rest, limits, rebuilt)
    except sqlite3.DatabaseError as exc:
        return _failed(job, exc)


def _run(workspace: Path, job: Job, file: Path, rest: Callable[[], None], limits: Limits, rebuilt: str = "") -> IndexStatus:
    began, problem = time.process_time(), ""
    opened = Database(file, limits.bytes)
    try:
        said = IndexStatus(folder=job.folder, state="building", rebuilt=rebuilt)
        folders.write_status(said)
        try:
            _update(opened, workspace, job, rest, limits, began + limits.seconds)
        except Stopped as exc:
            problem = f"{FULL}{exc}."
        files, symbols, chunks = opened.counts()
        said = msgspec.structs.replace(said, state="stopped" if problem else "ready", problem=problem, files=files, symbols=symbols, chunks=chunks)
        said = msgspec.structs.replace(said, bytes=opened.size(), seconds=round(time.process_time() - began, 2))
    finally:
        opened.close()
    return folders.write_status(said)


def _failed(job: Job, exc: sqlite3.DatabaseError) -> IndexStatus:
    said = IndexStatus(folder=job.folder, state="stopped", problem=f"{FULL}{_reason(exc)}.")
    with contextlib.suppress(InfillError):  # the disk may be full
        said = folders.write_status(said)
    return said


def _cannot_be_written(exc: sqlite3.DatabaseError) -> bool:
    return isinstance(exc, sqlite3.OperationalError)


def _reason(exc: sqlite3.DatabaseError) -> str:
    return "the disk is full, or the index has reached its largest size" if "full" in str(exc) else f"the database cannot be written ({exc})"


def _update(opened: Database, workspace: Path, job: Job, rest: Callable[[], None], limits: Limits, until: float) -> None:
    known = opened.files()
    current = folders.of(workspace) / "current"
    crashed = _crashed(current)
    guard = Guard([workspace], job.privacy)
    seen: set[str] = set()
    try:
        for batch in _batches(scan(workspace, guard, limits.files)):
            if time.process_time() > until:
                raise Stopped("its time was used up; it goes on at the next start")
            if shutil.disk_usage(folders.of(workspace)).free < limits.free:
                raise Stopped(f"less than {limits.free // 2**20} MiB are free on the disk")
            with opened.batch():
                for found in batch:
                    seen.add(found.path)
                    current.write_text(found.path, encoding="utf-8")
                    _one(opened, found, known.get(found.path), workspace, skip=found.path == crashed)
                    rest()
        gone = [one for path, one in known.items() if path not in seen]
        with opened.batch():
            for one in gone:
                opened.remove(one)
        if gone:
            opened.wipe()
        if len(seen) >= limits.files:
            raise Stopped(f"the folder has more than {limits.files} files")
    finally:
        current.unlink(missing_ok=True)


def _crashed(current: Path) -> str:
    """The file that was being parsed when a builder was killed; empty: none."""
    try:
        return current.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _batches(found: Iterable[Found]) -> Iterator[list[Found]]:
    batch: list[Found] = []
    for one in found:
        batch.append(one)
        if len(batch) >= BATCH_FILES:
            yield batch
            batch = []
    if batch:
        yield batch


def _one(opened: Database, found: Found, known: Known | None, workspace: Path, *, skip: bool) -> None:
    """Index one file, unless it has not changed."""
    if known and (known.size, known.modified) == (found.size, found.modified):
        return
    content = _content(found, workspace)
    digest = hashlib.blake2b(content or b"", digest_size=16).digest()
    if known and known.hash == digest:
        opened.touch(known, found.size, found.modified)
        return
    said = Outline([], []) if content is None or skip else _outline(content, found)
    opened.add(found.path, found.language, found.size, found.modified, digest, said)


def _content(found: Found, workspace: Path) -> bytes | None:
    """The file's content; None if it cannot be read or is binary."""
    try:
        content = workspace_files.read(found.file, workspace, max(found.size, 1))
    except workspace_files.NotRead:
        return None
    return None if content is None or b"\0" in content[:BINARY_BYTES] else content


def _outline(content: bytes, found: Found) -> Outline:
    text = content.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    if found.language == "other":
        text = _masked(text, found.path)
    said = outline(text, found.language)
    symbols = [msgspec.structs.replace(one, signature=_masked(one.signature, found.path), doc=_masked(one.doc, found.path)) for one in said.symbols]
    return Outline(symbols, said.chunks)


def _masked(text: str, path: str) -> str:
    """The text with secrets masked."""
    return mask(text, path)[0] if text and any(_SUSPICIOUS.search(line) for line in text.split("\n")) else text
