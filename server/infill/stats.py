"""Counts of suggestions and of accepted ones, stored on this machine only: numbers and model names, no code.

One SQLite file in the state directory. If the disk is full or read-only, only the statistics are lost: no function raises.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from infill import paths
from infill.errors import InfillError

if TYPE_CHECKING:
    import sqlite3

KEPT_DAYS = 180
MOST_ANSWERS = 100_000
"""Latencies are computed from the newest answers up to this number; all answers are counted."""
LONGEST_NAME = 500
"""Maximum characters of a stored name."""
LARGEST_NUMBER = 1 << 40
"""Largest stored integer: SQLite fails on a sum beyond 64 bits."""
MOST_WAITING = 2_000
"""Maximum number of events in memory while they cannot be written; beyond it the oldest are dropped."""
BUSY_SECONDS = 2.0
"""How long one process waits for another one's write."""

NEXT_EDITS = "next edits"
"""Stored as the provider of next edits, which are counted by source and not among the completions."""

Kind = Literal["answered", "generated", "held", "shown", "partly", "accepted", "rejected", "ignored"]

logger = logging.getLogger(__name__)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a suggestion."""

    kind: Kind
    provider: str = ""
    model: str = ""
    language: str = ""
    source: str = ""
    """Source of an answer: model, cache, ..."""
    ms: float = 0.0
    """Latency of an answer, from the request."""
    characters: int = 0
    tokens: int = 0
    """Generated tokens, including those after the answer was shown. `generate_ms` is the time for them."""
    generate_ms: float = 0.0


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The statistics of one model of one provider."""

    provider: str
    model: str
    shown: int = 0
    accepted: int = 0
    characters: int = 0
    p50: float = 0.0
    p95: float = 0.0
    tokens_per_second: float = 0.0


class SourceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The statistics of the next edits of one source, such as `rename`."""

    source: str
    shown: int = 0
    accepted: int = 0
    rejected: int = 0
    ignored: int = 0
    """Suggested, but the user edited something else."""


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds from request to answer."""

    p50: float = 0.0
    p95: float = 0.0


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All statistics."""

    shown: int = 0
    accepted: int = 0
    partly: int = 0
    characters: int = 0
    """Accepted characters that the user did not type."""
    held_back: int = 0
    """Answers that were filtered out."""
    latency: Latency = Latency()
    by_model: tuple[ModelSummary, ...] = ()
    next_edits: tuple[SourceSummary, ...] = ()
    """By source; not included in the completions above."""


class Statistics:
    """Counters. `add` is fast and called on the event loop; `flush`, `summary` and `reset` are called on a thread."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._waiting: list[tuple[Any, ...]] = []
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Events that are not written yet."""
        return len(self._waiting)

    def add(self, event: Event) -> None:
        self._waiting.append((time.time(), *map(_storable, msgspec.structs.astuple(event))))
        del self._waiting[:-MOST_WAITING]

    def flush(self) -> None:
        """Write the pending events."""
        with self._lock, self._database() as database:
            if database is not None:
                rows = self._waiting[:]
                _insert(database, rows)
                del self._waiting[: len(rows)]

    def summary(self) -> Summary:
        """The statistics, including this process's pending events."""
        self.flush()
        with self._lock, self._database() as database:
            if database is not None:
                counts = _rows(database, "SELECT kind, count(*), sum(characters) FROM events WHERE provider != ? GROUP BY kind", (NEXT_EDITS,))
                answers = _rows(database, _ANSWERS, (MOST_ANSWERS,))
                models = _rows(database, _BY_MODEL)
                edits = _rows(database, _NEXT_EDITS, (NEXT_EDITS,))
                return msgspec.structs.replace(_summed(counts, answers, models), next_edits=_by_source(edits))
        return Summary()

    def reset(self) -> None:
        """Delete all statistics."""
        self._waiting.clear()
        with self._lock, self._database() as database:
            if database is not None:
                with database:
                    database.execute("DELETE FROM events")

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection | None]:
        import sqlite3

        database = None
        with contextlib.suppress(sqlite3.Error, OSError, InfillError):
            database = self._connect()
        try:
            yield database
        except Exception as exc:  # an error in the statistics must not affect anything else
            logger.info("the statistics cannot be kept: %s", type(exc).__name__)
        finally:
            if database is not None:
                database.close()

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        file = self._file or paths.private_directory(paths.state_directory()) / "statistics.sqlite3"
        database = sqlite3.connect(file, timeout=BUSY_SECONDS)
        try:
            with database:
                database.execute(_TABLE)
                database.execute("CREATE INDEX IF NOT EXISTS events_at ON events (at)")
                database.execute("DELETE FROM events WHERE at < ?", (time.time() - KEPT_DAYS * 86_400,))
        except sqlite3.Error:
            database.close()
            raise
        return database


_TABLE = """CREATE TABLE IF NOT EXISTS events (
    at REAL, kind TEXT, provider TEXT, model TEXT, language TEXT, source TEXT, ms REAL, characters INTEGER, tokens INTEGER, generate_ms REAL)"""
_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_BY_MODEL = """SELECT provider, model, sum(kind = 'shown'), sum(kind = 'accepted'),
    sum(CASE WHEN kind IN ('accepted', 'partly') THEN characters ELSE 0 END),
    sum(tokens), sum(generate_ms) FROM events WHERE model != '' GROUP BY provider, model ORDER BY 3 DESC"""
_NEXT_EDITS = """SELECT model, sum(kind = 'shown'), sum(kind = 'accepted'), sum(kind = 'rejected'), sum(kind = 'ignored')
    FROM events WHERE provider = ? GROUP BY model ORDER BY 2 DESC, 1"""
_ANSWERS = """SELECT provider, model, ms FROM (SELECT * FROM events WHERE kind = 'answered' AND model != '' ORDER BY at DESC LIMIT ?)
    WHERE typeof(ms) IN ('real', 'integer') ORDER BY ms"""


def _rows(database: sqlite3.Connection, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    return list(database.execute(query, values))


def _storable(value: Any) -> Any:
    """A value that SQLite can store and sum: valid bounded Unicode text, integers up to LARGEST_NUMBER."""
    if isinstance(value, str):
        return value[:LONGEST_NAME].encode("utf-8", "replace").decode()
    return max(-LARGEST_NUMBER, min(LARGEST_NUMBER, value)) if isinstance(value, int) else value


def _insert(database: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert all rows at once; if one cannot be stored, all others."""
    import sqlite3

    # the row is invalid; for a full disk or a lock sqlite3 raises another error, and the rows stay pending
    faults = (OverflowError, ValueError, TypeError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)
    try:
        with database:
            database.executemany(_INSERT, rows)
    except faults:
        with database:
            for row in rows:
                with contextlib.suppress(*faults):
                    database.execute(_INSERT, row)


def _summed(counts: Sequence[tuple[Any, ...]], answers: Sequence[tuple[Any, ...]], models: Sequence[tuple[Any, ...]]) -> Summary:
    number = {kind: count for kind, count, _ in counts}
    characters = sum(total or 0 for kind, _, total in counts if kind in {"accepted", "partly"})
    by_model, by_name = [], defaultdict[tuple[str, str], list[float]](list)
    for provider, model, ms in answers:
        by_name[provider, model].append(ms)
    for provider, model, shown, accepted, taken, tokens, milliseconds in models:
        times = by_name.get((provider, model), [])
        by_model.append(
            ModelSummary(
                provider=provider,
                model=model,
                shown=shown,
                accepted=accepted,
                characters=taken,
                p50=percentile(times, 0.50),
                p95=percentile(times, 0.95),
                tokens_per_second=tokens / milliseconds * 1000 if milliseconds else 0.0,
            )
        )
    every = [ms for *_, ms in answers]
    return Summary(
        shown=number.get("shown", 0),
        accepted=number.get("accepted", 0),
        partly=number.get("partly", 0),
        characters=characters,
        held_back=number.get("held", 0),
        latency=Latency(percentile(every, 0.50), percentile(every, 0.95)),
        by_model=tuple(by_model),
    )


def _by_source(rows: Sequence[tuple[Any, ...]]) -> tuple[SourceSummary, ...]:
    names = ("source", "shown", "accepted", "rejected", "ignored")
    return tuple(SourceSummary(**dict(zip(names, row, strict=True))) for row in rows)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values are; 0 if there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
