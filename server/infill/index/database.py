"""The database of one index: its tables, and all statements that change it. Only the builder writes it; `lookup` reads it.

Write-ahead logging lets readers continue while a builder writes. A damaged database, or one of another version, is deleted and rebuilt. Deleted text
is overwritten, so that no text of a file that is excluded later remains.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from infill import paths
from infill.index.outline import Outline

VERSION = 1
"""Version of the tables and their content; a database with another version is rebuilt."""
PAGE = 4096
MOST_BYTES = 1024 * 1024 * 1024
"""Largest size of a database, enforced by SQLite."""
BUSY_SECONDS = 10.0
TABLES = """
CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, stem TEXT NOT NULL, language TEXT NOT NULL, size INTEGER NOT NULL,
    modified INTEGER NOT NULL, hash BLOB NOT NULL);
CREATE INDEX files_by_stem ON files (stem);
CREATE TABLE symbols (file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE, name TEXT NOT NULL, kind TEXT NOT NULL, parent TEXT NOT NULL,
    signature TEXT NOT NULL, doc TEXT NOT NULL, line INTEGER NOT NULL, until INTEGER NOT NULL);
CREATE INDEX symbols_by_name ON symbols (name);
CREATE INDEX symbols_by_file ON symbols (file);
CREATE TABLE chunks (id INTEGER PRIMARY KEY, file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE, line INTEGER NOT NULL, until INTEGER NOT NULL,
    words TEXT NOT NULL);
CREATE INDEX chunks_by_file ON chunks (file);
CREATE VIRTUAL TABLE search USING fts5 (words, content = 'chunks', content_rowid = 'id', tokenize = 'ascii', detail = 'column');
CREATE TRIGGER chunk_added AFTER INSERT ON chunks BEGIN INSERT INTO search (rowid, words) VALUES (new.id, new.words); END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunks BEGIN INSERT INTO search (search, rowid, words) VALUES ('delete', old.id, old.words); END;
"""


class Known(msgspec.Struct, frozen=True):
    """An indexed file, as it was when it was indexed."""

    id: int
    size: int
    modified: int
    """Nanoseconds since 1970."""
    hash: bytes


class Database:
    """An index opened for writing. Raises sqlite3.Error if the database is damaged, full or not writable."""

    def __init__(self, file: Path, most_bytes: int = MOST_BYTES) -> None:
        paths.private_directory(file.parent)
        self._file = file
        self._connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            self._open(most_bytes)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, most_bytes: int) -> None:
        run = self._connection.execute
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "recursive_triggers = ON", "secure_delete = ON"):
            run(f"PRAGMA {pragma}").fetchone()
        run(f"PRAGMA max_page_count = {most_bytes // PAGE}").fetchone()
        found = run("PRAGMA user_version").fetchone()[0]
        if found != VERSION and run("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise sqlite3.DatabaseError(f"written by another version ({found}, not {VERSION})")
        if found != VERSION:
            self._connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """A transaction: all changes inside are committed, or none."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def files(self) -> dict[str, Known]:
        """The indexed files, by path."""
        rows = self._connection.execute("SELECT path, id, size, modified, hash FROM files")
        return {path: Known(*row) for path, *row in rows}

    def remove(self, known: Known) -> None:
        self._connection.execute("DELETE FROM files WHERE id = ?", (known.id,))

    def wipe(self) -> None:
        """Overwrite the rest of removed files. The search table keeps words of deleted rows until a merge, the log until a checkpoint."""
        self._connection.execute("INSERT INTO search (search) VALUES ('optimize')")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def touch(self, known: Known, size: int, modified: int) -> None:
        """Update size and time of a file whose content has not changed."""
        self._connection.execute("UPDATE files SET size = ?, modified = ? WHERE id = ?", (size, modified, known.id))

    def add(self, path: str, language: str, size: int, modified: int, digest: bytes, outline: Outline) -> None:
        """Add a file; replaces its former entry."""
        run = self._connection
        run.execute("DELETE FROM files WHERE path = ?", (path,))
        stem = stem_of(path)
        file = run.execute(
            "INSERT INTO files (path, stem, language, size, modified, hash) VALUES (?, ?, ?, ?, ?, ?)", (path, stem, language, size, modified, digest)
        ).lastrowid
        run.executemany(
            "INSERT INTO symbols VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(file, one.name, one.kind, one.parent, one.signature, one.doc, one.line, one.end) for one in outline.symbols],
        )
        run.executemany(
            "INSERT INTO chunks (file, line, until, words) VALUES (?, ?, ?, ?)",
            [(file, one.start, one.end, one.words) for one in outline.chunks],
        )

    def counts(self) -> tuple[int, int, int]:
        """Numbers of files, symbols and chunks."""
        files, symbols, chunks = (self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("files", "symbols", "chunks"))  # noqa: S608
        return files, symbols, chunks

    def size(self) -> int:
        """Size of the database in bytes."""
        return int(self._connection.execute("PRAGMA page_count").fetchone()[0]) * PAGE


def stem_of(path: str) -> str:
    """The name of a file in imports: `convert` for `a/b/convert.py`; `b` for `a/b/__init__.py`, `a/b/mod.rs` and `a/b/index.ts`."""
    *folders, name = path.split("/")
    stem = name.partition(".")[0]
    return folders[-1] if stem in {"__init__", "index", "mod", "init"} and folders else stem


def delete(file: Path) -> None:
    """Delete a database and its log. Raises OSError."""
    for name in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        name.unlink(missing_ok=True)
