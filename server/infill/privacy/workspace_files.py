"""Reads all small files from a workspace: settings, ignore files, `.editorconfig`. Their content is untrusted.

Only regular files up to a limit are read, never a pipe, a device or a socket. A link is followed if its target is inside the workspace. Opening never
blocks on a pipe. The open descriptor is checked, not the name, because the name could be changed in between.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

LARGEST_SETTINGS = 16 * 1024
"""Bytes of `.infill.toml`: some parsers need quadratic time."""
LARGEST_RULES = 256 * 1024
"""Bytes of an ignore file or an `.editorconfig`."""
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


class NotRead(Exception):
    """A file exists but must not or cannot be read; the text is the reason, as part of a sentence: "it is not a regular file"."""


def read(file: Path, root: Path | None, limit: int = LARGEST_RULES) -> bytes | None:
    """The content of a workspace's file, at most `limit` bytes; None if it does not exist.

    A link must not lead out of `root`; None allows any target. Never blocks on a file that is not regular. Raises NotRead.
    """
    try:
        resolved = os.path.realpath(file, strict=True)
        if root is not None and not _inside(resolved, os.path.realpath(root)):
            raise NotRead("it is a link that leads out of the workspace")
        if not stat.S_ISREG(Path(resolved).stat().st_mode):  # opening a device can have side effects
            raise NotRead("it is not a regular file")
        return _content(resolved, limit)
    except (FileNotFoundError, NotADirectoryError):
        if file.is_symlink():
            raise NotRead("it is a link to a file that does not exist") from None
        return None
    except (OSError, ValueError) as exc:
        raise NotRead(getattr(exc, "strerror", None) or "its path is not valid") from exc


def read_text(file: Path, root: Path | None, limit: int = LARGEST_RULES) -> str | None:
    """As `read`, decoded as UTF-8 without a byte order mark; invalid bytes become U+FFFD. Raises NotRead."""
    content = read(file, root, limit)
    return None if content is None else content.decode("utf-8-sig", "replace")


def _content(path: str, limit: int) -> bytes:
    with os.fdopen(os.open(path, _FLAGS), "rb") as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotRead("it is not a regular file")
        content = stream.read(limit + 1) if status.st_size <= limit else None
    if content is None or len(content) > limit:  # files in /proc have size 0 whatever they contain
        raise NotRead(f"it is larger than {limit // 1024} KiB")
    return content


def _inside(path: str, folder: str) -> bool:
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
