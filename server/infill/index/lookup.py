"""Reads the definitions of names from an index. Needs only SQLite; a missing, damaged or locked index has no definitions.

If a name has several definitions, the one whose path is in the imports is used, else the one in the nearest folder. A name with more than
MOST_ALIKE equally likely definitions is omitted: a wrong definition is worse than none.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from infill.index import folders, grammars
from infill.index.database import VERSION
from infill.index.uses import Use

MOST_ALIKE = 3
MOST_ROWS = 400
MEMBERS = 6
"""Members of a class that are shown with it."""
EXPLICIT = frozenset({"python", "javascript", "typescript", "tsx", "rust"})
"""Languages in which a name of another file must be imported, or be qualified by an imported name."""
CACHE_KIBIBYTES = 512
"""Size of SQLite's page cache."""
BUSY_SECONDS = 0.2


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A definition of a name, with what other files need of it."""

    name: str
    parent: str
    kind: str
    path: str
    line: int
    signature: str
    doc: str

    @property
    def text(self) -> str:
        """The definition as shown to the model: the signature, then the documentation."""
        return f"{self.signature}\n    {self.doc}" if self.doc else self.signature


def definitions(workspace: Path, used: Sequence[Use], path: str, language: str) -> list[Definition]:
    """Definitions of names used in file `path` (relative, with slashes), in the order of `used`, except those that the file defines."""
    file = folders.database(workspace)
    if not used or not file.exists():
        return []
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_opened(file)) as connection:
        return _definitions(connection, used, path, sorted(grammars.family(language)))
    return []


def _opened(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        connection.close()
        raise sqlite3.DatabaseError("written by another version")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIBIBYTES}")
    return connection


def _definitions(connection: sqlite3.Connection, used: Sequence[Use], path: str, languages: Sequence[str]) -> list[Definition]:
    chosen: dict[tuple[str, str, int], Definition] = {}
    for use in used if not EXPLICIT.intersection(languages) else [use for use in used if use.imported]:
        found = _named(connection, use.name, languages)
        own = any(one.path == path and (not one.parent or one.parent == use.qualifier) for one in found)
        if own and not use.qualifier:
            continue
        best = _best([one for one in found if one.path != path], use, path)
        if best is not None:
            chosen.setdefault((best.path, best.name, best.line), best)
    return list(chosen.values())


def _named(connection: sqlite3.Connection, name: str, languages: Sequence[str]) -> list[Definition]:
    marks = ",".join("?" * len(languages))
    rows = connection.execute(
        "SELECT name, parent, kind, path, line, signature, doc FROM symbols JOIN files ON files.id = symbols.file "  # noqa: S608 - only question marks are inserted
        f"WHERE name = ? AND language IN ({marks}) LIMIT {MOST_ROWS}",
        (name, *languages),
    )
    return [Definition(name=n, parent=p, kind=k, path=f, line=at, signature=s, doc=d) for n, p, k, f, at, s, d in rows]


def _best(found: Sequence[Definition], use: Use, path: str) -> Definition | None:
    """The likeliest definition; None if too many are equally likely."""
    ranked = sorted(((_likelihood(one, use, path), one) for one in found), key=lambda pair: (-pair[0], pair[1].path, pair[1].line))
    if not ranked or ranked[0][0] <= 0:
        return None
    alike = [one for likelihood, one in ranked if likelihood == ranked[0][0]]
    return ranked[0][1] if len({one.path for one in alike}) <= MOST_ALIKE else None


def _likelihood(one: Definition, use: Use, path: str) -> float:
    """The likelihood score; a definition with 0 or less is not used."""
    *folder, name = one.path.split("/")
    stem = name.partition(".")[0]
    hinted = len(use.hints.intersection([*folder, stem]))
    qualified = use.qualifier and use.qualifier in {one.parent, stem, folder[-1] if folder else ""}
    if one.parent and not qualified:  # a method: the type of the value before it is unknown
        return 0.5 * bool(hinted) if use.qualifier else 0.0
    shared = _shared(folder, path.split("/")[:-1])
    test = any(part.startswith("test") for part in [*folder, stem]) and "test" not in path
    return 1.0 + 3.0 * hinted + 4.0 * bool(qualified) + 0.5 * shared - 2.0 * test


def _shared(one: Iterable[str], other: Iterable[str]) -> int:
    """Number of leading folders that both paths share."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def language_of(path: str) -> str:
    """The language name of a file in the index; empty if such files are not indexed."""
    return grammars.LANGUAGE_OF.get(Path(path).suffix.lower(), "")
