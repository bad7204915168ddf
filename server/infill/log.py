"""Log files: one small rotating file per process, in the log directory. Never on stdout, which belongs to LSP, and never the user's code.

That last is not left to discipline alone: a record is one line of bounded length, and of a foreign exception only its kind and the places it came
through are written, not its text, which may quote what it choked on.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import time
import traceback
from pathlib import Path

from infill import paths
from infill.errors import InfillError

VARIABLE = "INFILL_LOG"
"""Environment variable with a level; it wins over the setting."""
LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}
LONGEST_RECORD = 600
"""Characters: a path and a sentence fit, a function's body does not."""
MOST_BYTES = 1_000_000
KEPT_DAYS, KEPT_FILES = 7, 20
"""Older or more files than this are removed when a process starts to log."""


class LineFormatter(logging.Formatter):
    """One bounded line a record; an exception is told by its kind and its places."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record = logging.makeLogRecord(record.__dict__)
        record.msg, record.args = " ".join(record.getMessage().split()), None
        error = record.exc_info[1] if record.exc_info else None
        record.exc_info, record.exc_text = None, None
        line = super().format(record)
        if len(line) > LONGEST_RECORD:
            line = line[:LONGEST_RECORD] + " ..."
        return line if error is None else f"{line}\n{told(error)}"


def told(error: BaseException) -> str:
    """An exception without the text of foreign ones: `ValueError at pipeline.py:70 complete, cache.py:12 lookup`."""
    places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__))
    words = f" ({error.message})" if isinstance(error, InfillError) else ""
    return f"    {type(error).__name__}{words} at {places or 'no place'}"


def to_file(process: str, level: str = "info") -> Path | None:
    """Write what `infill` logs to a file of this process, such as `lsp-4711.log`; None where no file can be written: then nothing is logged."""
    logger = logging.getLogger("infill")
    set_level(level)
    logger.propagate = False
    try:
        directory = paths.private_directory(paths.log_directory())
        _tidy(directory)
        file = directory / f"{process}-{os.getpid()}.log"
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=MOST_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace")
    except (InfillError, OSError):
        logger.addHandler(logging.NullHandler())
        return None
    handler.setFormatter(LineFormatter())
    logger.addHandler(handler)
    # a full disk must not write tracebacks to stderr at every record
    logging.raiseExceptions = False
    return file


def set_level(level: str) -> None:
    """Take a level from the settings, unless the environment names one."""
    named = os.environ.get(VARIABLE, "").lower()
    logging.getLogger("infill").setLevel(LEVELS.get(named) or LEVELS.get(level, logging.INFO))


def _tidy(directory: Path) -> None:
    with contextlib.suppress(OSError):
        found = sorted(((file.stat().st_mtime, file) for file in directory.glob("*.log*")), reverse=True)
        for number, (changed, file) in enumerate(found):
            if number >= KEPT_FILES or changed < time.time() - KEPT_DAYS * 86_400:
                file.unlink(missing_ok=True)
