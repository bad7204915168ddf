"""Log files: one small rotating file per process, in the log directory. Nothing is written to stdout, which LSP uses, and no user code is logged.

The format enforces that: a record is one line of bounded length. Of a third-party exception only its type and traceback positions are logged, because
its text may quote user code.
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
"""Environment variable with a level; it overrides the setting."""
LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}
LONGEST_RECORD = 600
"""Characters: enough for a path and a sentence, too few for a function's body."""
MOST_BYTES = 1_000_000
KEPT_DAYS, KEPT_FILES = 7, 20
"""When a process starts to log, it removes older files, and the oldest ones beyond this number."""


class LineFormatter(logging.Formatter):
    """One bounded line per record; an exception is logged by its type and positions."""

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
    """An exception without the text of third-party ones: `ValueError at pipeline.py:70 complete, cache.py:12 lookup`."""
    places = ", ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__))
    words = f" ({error.message})" if isinstance(error, InfillError) else ""
    return f"    {type(error).__name__}{words} at {places or 'no place'}"


def to_file(process: str, level: str = "info") -> Path | None:
    """Log to a file of this process, such as `lsp-4711.log`; None and no logging if no file can be written."""
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
    # on a full disk, do not write a traceback to stderr for every record
    logging.raiseExceptions = False
    return file


def set_level(level: str) -> None:
    """Set the level from the settings, unless the environment variable is set."""
    named = os.environ.get(VARIABLE, "").lower()
    logging.getLogger("infill").setLevel(LEVELS.get(named) or LEVELS.get(level, logging.INFO))


def _tidy(directory: Path) -> None:
    with contextlib.suppress(OSError):
        found = sorted(((file.stat().st_mtime, file) for file in directory.glob("*.log*")), reverse=True)
        for number, (changed, file) in enumerate(found):
            if number >= KEPT_FILES or changed < time.time() - KEPT_DAYS * 86_400:
                file.unlink(missing_ok=True)
