"""Lists the files of a workspace that the privacy rules allow to index. Excluded folders are not entered, links not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from infill.index.grammars import LANGUAGE_OF
from infill.privacy.files import Guard

MOST_FILES = 100_000
"""Maximum number of indexed files per workspace."""
MOST_ENTRIES = 1_000_000
"""Maximum number of directory entries that are examined."""
SKIPPED = frozenset({"node_modules", "__pycache__", ".venv", "venv", ".tox", ".mypy_cache", "bower_components", "site-packages"})
"""Folders of third-party code, skipped even if no ignore file names them."""


class Found(msgspec.Struct, frozen=True):
    """A file that may be indexed."""

    path: str
    """Relative to the workspace, with slashes."""
    file: Path
    language: str
    size: int
    modified: int
    """Nanoseconds since 1970."""


def scan(workspace: Path, guard: Guard, most: int = MOST_FILES) -> Iterator[Found]:
    """Yield at most `most` files, in a stable order."""
    waiting, entries, count = [workspace], 0, 0
    while waiting:
        folder = waiting.pop()
        names = _names(folder)
        entries += len(names)
        if entries > MOST_ENTRIES:
            return
        for entry in names:
            if (found := _found(workspace, Path(entry.path), guard)) is not None:
                count += 1
                if count > most:
                    return
                yield found
        below = [Path(entry.path) for entry in reversed(names) if _is_folder(entry)]
        waiting += [one for one in below if one.name not in SKIPPED and not guard.folder_refusal(one)]


def _names(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _found(workspace: Path, file: Path, guard: Guard) -> Found | None:
    language = LANGUAGE_OF.get(file.suffix.lower(), "")
    if not language:
        return None
    try:
        status = file.lstat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode) or guard.refusal(file, status.st_size):
        return None
    path = file.relative_to(workspace).as_posix()
    try:
        path.encode()
    except UnicodeEncodeError:  # a name that is not valid text cannot be in a prompt
        return None
    return Found(path, file, language, status.st_size, status.st_mtime_ns)
