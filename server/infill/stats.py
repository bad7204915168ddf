"""What was suggested and what was taken of it, counted on this machine alone: numbers and names of models, never a character of code.

One SQLite file in the state directory. A disk that is full or read-only costs the statistics and nothing else: no function here raises.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from infill import paths
from infill.errors import InfillError

if TYPE_CHECKING:
    import sqlite3

KEPT_DAYS = 180
MOST_WAITING = 2_000
"""Events held in memory while they cannot be written; beyond that the oldest go."""
BUSY_SECONDS = 2.0
"""How long one process waits for another one's write."""

Kind = Literal["answered", "generated", "shown", "partly", "accepted"]

logger = logging.getLogger(__name__)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a suggestion."""

    kind: Kind
    provider: str = ""
    model: str = ""
    language: str = ""
    source: str = ""
    """Of an answer: model, cache, ..."""
    ms: float = 0.0
    """Of an answer: from the request to it."""
    characters: int = 0
    tokens: int = 0
    """What the model wrote, the rest of an answer that was shown long ago included; with the time it took."""
    generate_ms: float = 0.0


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How one model of one provider does here."""

    provider: str
    model: str
    shown: int = 0
    accepted: int = 0
    characters: int = 0
    p50: float = 0.0
    p95: float = 0.0
    tokens_per_second: float = 0.0


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds from request to answer."""

    p50: float = 0.0
    p95: float = 0.0


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that was counted."""

    shown: int = 0
    accepted: int = 0
    partly: int = 0
    characters: int = 0
    """Accepted: those nobody had to type."""
    latency: Latency = Latency()
    by_model: tuple[ModelSummary, ...] = ()


class Statistics:
    """Counts. `add` is cheap and belongs to the event loop; `flush`, `summary` and `reset` belong to a thread."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._waiting: list[tuple[Any, ...]] = []
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Events that are not written yet."""
        return len(self._waiting)

    def add(self, event: Event) -> None:
        self._waiting.append((time.time(), *msgspec.structs.astuple(event)))
        del self._waiting[:-MOST_WAITING]

    def flush(self) -> None:
        """Write what waits."""
        with self._lock, self._database() as database:
            if database is not None:
                rows = self._waiting[:]
                with database:
                    database.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
                del self._waiting[: len(rows)]

    def summary(self) -> Summary:
        """What was counted, this process's latest included."""
        self.flush()
        with self._lock, self._database() as database:
            if database is not None:
                counts = _rows(database, "SELECT kind, count(*), sum(characters) FROM events GROUP BY kind")
                answers = _rows(database, "SELECT provider, model, ms FROM events WHERE kind = 'answered' AND model != '' ORDER BY ms")
                models = _rows(database, _BY_MODEL)
                return _summed(counts, answers, models)
        return Summary()

    def reset(self) -> None:
        """Forget everything."""
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
        except sqlite3.Error as exc:
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
                database.execute("DELETE FROM events WHERE at < ?", (time.time() - KEPT_DAYS * 86_400,))
        except sqlite3.Error:
            database.close()
            raise
        return database


_TABLE = """CREATE TABLE IF NOT EXISTS events (
    at REAL, kind TEXT, provider TEXT, model TEXT, language TEXT, source TEXT, ms REAL, characters INTEGER, tokens INTEGER, generate_ms REAL)"""
_BY_MODEL = """SELECT provider, model, sum(kind = 'shown'), sum(kind = 'accepted'),
    sum(CASE WHEN kind IN ('accepted', 'partly') THEN characters ELSE 0 END),
    sum(tokens), sum(generate_ms) FROM events WHERE model != '' GROUP BY provider, model ORDER BY 3 DESC"""


def _rows(database: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
    return list(database.execute(query))


def _summed(counts: Sequence[tuple[Any, ...]], answers: Sequence[tuple[Any, ...]], models: Sequence[tuple[Any, ...]]) -> Summary:
    number = {kind: count for kind, count, _ in counts}
    characters = sum(total or 0 for kind, _, total in counts if kind in {"accepted", "partly"})
    by_model = []
    for provider, model, shown, accepted, taken, tokens, milliseconds in models:
        times = [ms for *names, ms in answers if names == [provider, model]]
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
        latency=Latency(percentile(every, 0.50), percentile(every, 0.95)),
        by_model=tuple(by_model),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie; 0 where there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
