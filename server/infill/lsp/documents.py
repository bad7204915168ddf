"""The open documents, as the editor has them: opened, changed, closed, and the cells of notebooks in their order. Also files that nobody opened.

Only this room's handlers change a document, at once and in the order in which the editor says so; everybody else gets snapshots of it. No file is
written, and no file is read but by `read`, in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from lsprotocol import types
from pygls.uris import to_fs_path

from infill.errors import RequestError
from infill.lsp.convert import Encoding
from infill.lsp.text import Text
from infill.privacy import workspace_files

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes of a file read from disk because nobody opened it."""
TYPED_CHARACTERS = 64
"""A longer insertion was pasted, or written by a program."""


class Document:
    """One document, or one cell of a notebook."""

    def __init__(self, uri: str, language: str, version: int, text: Text, notebook: str = "") -> None:
        self.uri = uri
        self.language = language
        self.version = version
        self.text = text
        self.notebook = notebook
        """URI of the notebook that this is a cell of; empty: none."""
        self.cursor = (0, 0)
        """Line and index where the editor last said the cursor was, or where the last edit ended."""
        self.edited = 0.0
        """When that was (monotonic clock); 0: never."""
        self.seen = 0.0
        """When it was last opened, edited or asked about."""

    @property
    def identity(self) -> str:
        """What the rest of the program calls it: a notebook's cells share their notebook's."""
        return self.notebook or self.uri

    @property
    def path(self) -> Path | None:
        """The file on disk that this is, or is part of; None where there is none."""
        return path_of(self.identity)


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

    def get(self, uri: str) -> Document | None:
        return self._open.get(unquote(uri))

    def open(self, item: types.TextDocumentItem, notebook: str = "") -> Document:
        """Take a document in; one that is open already is replaced."""
        document = Document(item.uri, item.language_id, item.version, Text(item.text, self.encoding), notebook)
        document.seen = self._clock()
        self._open[unquote(item.uri)] = document
        return document

    def change(self, uri: str, version: int, changes: Sequence[types.TextDocumentContentChangeEvent]) -> tuple[Document, bool] | None:
        """Apply edits in their order; returns the document, and whether this looks like typing. None: no such document is open."""
        document = self.get(uri)
        if document is None:
            return None
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangePartial):
                start, end = change.range.start, change.range.end
                document.cursor = document.text.replace((start.line, start.character), (end.line, end.character), change.text)
            else:
                document.text = Text(change.text, self.encoding)
                document.cursor = document.text.locate(*document.cursor)
        document.version = version
        document.edited = document.seen = self._clock()
        return document, len(changes) == 1 and _is_typing(changes[0])

    def close(self, uri: str) -> Document | None:
        return self._open.pop(unquote(uri), None)

    async def find(self, uri: str) -> Document:
        """The open document, or the file on disk. Raises RequestError where there is neither."""
        if document := self.get(uri):
            document.seen = self._clock()
            return document
        path = path_of(uri)
        if path is None:
            raise RequestError(f"There is no open document {uri}.", "The editor has to open it first.")
        return Document(uri, "", 0, Text(await asyncio.to_thread(read, path), self.encoding))

    def relative(self, path: Path | None) -> str:
        """A path as the model reads it: relative to the innermost workspace folder; its name alone outside of all; empty without a file."""
        if path is None:
            return ""
        inside = [path.relative_to(folder) for folder in self.folders if folder in path.parents]
        return min(inside, key=lambda one: len(one.parts)).as_posix() if inside else path.name

    # ---- notebooks

    def open_notebook(self, uri: str, cells: Iterable[types.NotebookCell], texts: Iterable[types.TextDocumentItem]) -> None:
        self._cells[unquote(uri)] = [cell.document for cell in cells]
        for item in texts:
            self.open(item, notebook=uri)

    def change_cells(self, uri: str, start: int, deleted: int, cells: Iterable[types.NotebookCell]) -> None:
        """Replace some of a notebook's cells by others."""
        order = self._cells.setdefault(unquote(uri), [])
        order[start : start + deleted] = [cell.document for cell in cells]

    def close_notebook(self, uri: str) -> list[Document]:
        """Close a notebook and all its cells, which are returned."""
        self._cells.pop(unquote(uri), None)
        cells = [document for document in self if unquote(document.notebook) == unquote(uri)]
        for document in cells:
            self.close(document.uri)
        return cells

    def above(self, document: Document) -> Iterator[Document]:
        """The cells above a cell that are in its language, nearest first."""
        order = self._cells.get(unquote(document.notebook), [])
        place = order.index(document.uri) if document.uri in order else 0
        for uri in reversed(order[:place]):
            cell = self.get(uri)
            if cell is not None and cell.language == document.language:
                yield cell


def path_of(uri: str) -> Path | None:
    """The file that a URI names, or None: `untitled:` documents and the like have none."""
    path = to_fs_path(uri) if uri.startswith(("file:", "vscode-notebook-cell:")) else None
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


def _is_typing(change: types.TextDocumentContentChangeEvent) -> bool:
    return isinstance(change, types.TextDocumentContentChangePartial) and len(change.text) <= TYPED_CHARACTERS and change.text.count("\n") <= 1
