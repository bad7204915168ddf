"""The open documents, as the editor has them: opened, changed, closed, and the cells of notebooks in their order. Also files that nobody opened.

Only this room's handlers change a document, at once and in the order in which the editor says so; everybody else gets snapshots of it. No file is
written, and no file is read but by `read`, in a thread.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from lsprotocol import types
from pygls.uris import to_fs_path

from infill.completion.types import Indentation
from infill.edits.hunks import Splice
from infill.errors import RequestError
from infill.lsp.convert import NO_VERSION, Encoding
from infill.lsp.text import Text, without_ends
from infill.privacy import workspace_files

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes of a file read from disk because nobody opened it."""
_OF_FILES = frozenset({"file", "vscode-notebook-cell"})
"""Schemes whose paths may name a drive."""
_DRIVE = re.compile(r"(?://(?:localhost)?)?/([A-Za-z])[:|](?=/|$)")
_revisions = itertools.count(1)
TYPED_CHARACTERS = 64
"""A longer insertion was pasted, or written by a program."""


class Document:
    """One document, or one cell of a notebook."""

    def __init__(self, uri: str, language: str, version: int | None, text: Text, notebook: str = "") -> None:
        self.uri = uri
        """As the editor spells it."""
        self.language = language
        self.version = version
        """As the editor counts; None: it does not say."""
        self.revision = next(_revisions)
        """A number that no other state of any document has."""
        self.indentation = Indentation()
        """What the editor says of it."""
        self.opened = False
        """The editor has opened it; it may have been closed since."""
        self.text = text
        self.notebook = notebook
        """URI of the notebook that this is a cell of; empty: none."""
        self.cursor = (0, 0)
        """Line and index where the editor last said the cursor was, or where the last edit ended."""
        self.edited = 0.0
        """When that was (monotonic clock); 0: never."""
        self.seen = 0.0
        """When it was last opened, edited or asked about."""

        self.splices: list[Splice] = []
        """The changes of the last event, in their order."""
        self.identity = same(notebook or uri)
        """What the rest of the program calls it: a notebook's cells share their notebook's."""

    @property
    def path(self) -> Path | None:
        """The file on disk that this is, or is part of; None where there is none."""
        return path_of(self.notebook or self.uri)


class Documents:
    """All of them, by URI."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.encoding: Encoding = "utf-16"
        self.folders: list[Path] = []
        """The workspace's folders."""
        self._clock = clock
        self._open: dict[str, Document] = {}
        self._cells: dict[str, list[str]] = {}

    def __iter__(self) -> Iterator[Document]:
        return iter(tuple(self._open.values()))

    def now(self) -> float:
        """The clock of `edited` and `seen`."""
        return self._clock()

    def get(self, uri: str) -> Document | None:
        return self._open.get(same(uri))

    def open(self, item: types.TextDocumentItem, notebook: str = "") -> Document:
        """Take a document in; one that is open already is replaced."""
        document = Document(item.uri, item.language_id, _version(item.version), Text(item.text, self.encoding), notebook)
        document.opened = True
        document.seen = self._clock()
        self._open[same(item.uri)] = document
        return document

    def change(self, uri: str, version: int, changes: Sequence[types.TextDocumentContentChangeEvent]) -> tuple[Document, bool] | None:
        """Apply edits in their order; returns the document, and whether this looks like typing. None: no such document is open."""
        document = self.get(uri)
        if document is None:
            return None
        document.splices = []
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                start, end = change.range.start, change.range.end
                document.cursor = document.text.replace((start.line, start.character), (end.line, end.character), change.text)
                document.splices.append(document.text.splice)
            else:
                before, document.text = document.text, Text(change.text, self.encoding)
                document.splices.append(Splice(0, without_ends(before.lines), without_ends(document.text.lines)))
                document.cursor = document.text.locate(*document.cursor)
        document.version = _version(version)
        document.revision = next(_revisions)
        document.edited = document.seen = self._clock()
        return document, len(changes) == 1 and _is_typing(changes[0])

    def close(self, uri: str) -> Document | None:
        return self._open.pop(same(uri), None)

    async def find(self, uri: str) -> Document:
        """The open document, or the file on disk. Raises RequestError where there is neither."""
        if document := self.get(uri):
            document.seen = self._clock()
            return document
        path = path_of(uri)
        if path is None:
            raise RequestError(f"There is no open document {uri}.", "The editor has to open it first.")
        return Document(uri, "", None, Text(await asyncio.to_thread(read, path), self.encoding))

    def folder(self, path: Path) -> Path | None:
        """The innermost workspace folder that a file lies in."""
        return max((folder for folder in self.folders if folder in path.parents), key=lambda one: len(one.parts), default=None)

    def relative(self, path: Path | None) -> str:
        """A path as the model reads it: relative to the innermost workspace folder; its name alone outside of all; empty without a file."""
        if path is None:
            return ""
        folder = self.folder(path)
        return path.relative_to(folder).as_posix() if folder else path.name

    # ---- notebooks

    def open_notebook(self, uri: str, cells: Iterable[types.NotebookCell], texts: Iterable[types.TextDocumentItem]) -> None:
        self._cells[same(uri)] = [same(cell.document) for cell in cells]
        for item in texts:
            self.open(item, notebook=uri)

    def change_cells(self, uri: str, start: int, deleted: int, cells: Iterable[types.NotebookCell]) -> None:
        """Replace some of a notebook's cells by others."""
        order = self._cells.setdefault(same(uri), [])
        order[start : start + deleted] = [same(cell.document) for cell in cells]

    def close_notebook(self, uri: str) -> list[Document]:
        """Close a notebook and all its cells, which are returned."""
        self._cells.pop(same(uri), None)
        cells = [document for document in self if document.notebook and document.identity == same(uri)]
        for document in cells:
            self.close(document.uri)
        return cells

    def above(self, document: Document) -> Iterator[Document]:
        """The cells above a cell that are in its language, nearest first."""
        order, place = self._order(document)
        return self._alike(document, reversed(order[:place]))

    def below(self, document: Document) -> Iterator[Document]:
        """The cells below it, likewise."""
        order, place = self._order(document)
        return self._alike(document, order[place + 1 :])

    def _order(self, document: Document) -> tuple[list[str], int]:
        order, own = self._cells.get(document.identity, []), same(document.uri)
        return (order, order.index(own)) if document.notebook and own in order else ([], 0)

    def _alike(self, document: Document, uris: Iterable[str]) -> Iterator[Document]:
        return (cell for uri in uris if (cell := self._open.get(uri)) is not None and cell.language == document.language)


def same(uri: str) -> str:
    """A URI in the one spelling that all spellings of it share: editors quote, and name a drive, in different ways."""
    plain = unquote(uri)
    scheme, colon, rest = plain.partition(":")
    if colon and scheme.lower() in _OF_FILES:
        drive = _DRIVE.match(rest)
        rest = f"///{drive[1].lower()}:{rest[drive.end() :]}" if drive else rest
    return f"{scheme.lower()}{colon}{rest}" if colon else plain


@functools.lru_cache(maxsize=64)
def path_of(uri: str) -> Path | None:
    """The file that a URI names, or None: `untitled:` documents and the like have none, and what is no URI, such as `file://[::1/x`."""
    try:
        path = to_fs_path(uri) if uri.startswith(("file:", "vscode-notebook-cell:")) else None
    except ValueError:
        return None
    return Path(path) if path else None


def read(path: Path) -> str:
    """The text of a file, whatever its bytes. Raises RequestError."""
    try:
        content = workspace_files.read(path, None, LARGEST_FILE)
    except workspace_files.NotRead as exc:
        raise RequestError(f"{path} cannot be read: {exc}.", "Open it in the editor.") from exc
    if content is None:
        raise RequestError(f"There is no open document and no file {path}.", "The editor has to open it first.")
    return content.decode("utf-8", "replace")


def _version(told: int) -> int | None:
    return None if told == NO_VERSION else told


def _is_typing(change: types.TextDocumentContentChangeEvent) -> bool:
    return isinstance(change, types.TextDocumentContentChangePartial) and len(change.text) <= TYPED_CHARACTERS and change.text.count("\n") <= 1
