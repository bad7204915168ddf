"""The open documents as the editor has them, with the cells of notebooks in their order. Reads files that are not open.

Only the synchronization handlers change a document, at once and in the editor's order; other code gets snapshots. No file is written; only `read`,
in a thread, reads files.
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
"""Largest size in bytes of a file that is read from disk because it is not open."""
_OF_FILES = frozenset({"file", "vscode-notebook-cell"})
"""URI schemes whose paths may start with a drive."""
_DRIVE = re.compile(r"(?://(?:localhost)?)?/([A-Za-z])[:|](?=/|$)")
_revisions = itertools.count(1)
TYPED_CHARACTERS = 64
"""A longer insertion is not typing: it was pasted, or written by a program."""


class Document:
    """One document, or one cell of a notebook."""

    def __init__(self, uri: str, language: str, version: int | None, text: Text, notebook: str = "") -> None:
        self.uri = uri
        """In the editor's spelling."""
        self.language = language
        self.version = version
        """The editor's version number; None: not sent."""
        self.revision = next(_revisions)
        """A number that is unique to this state of this document."""
        self.indentation = Indentation()
        """Indentation that the editor reports."""
        self.opened = False
        """Whether the editor has opened it; it may have been closed since."""
        self.text = text
        self.notebook = notebook
        """URI of the notebook that this cell belongs to; empty: not a cell."""
        self.cursor = (0, 0)
        """Line and index of the last reported cursor, or of the end of the last edit."""
        self.edited = 0.0
        """Time of the last edit (monotonic clock); 0: never."""
        self.seen = 0.0
        """Time when it was last opened, edited or requested."""

        self.splices: list[Splice] = []
        """The changes of the last event, in order."""
        self.identity = same(notebook or uri)
        """Its key in the rest of the program; the cells of a notebook share one."""

    @property
    def path(self) -> Path | None:
        """The file of the document, or of the cell's notebook; None if there is none."""
        return path_of(self.notebook or self.uri)


class Documents:
    """All open documents, by URI."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.encoding: Encoding = "utf-16"
        self.folders: list[Path] = []
        """The workspace folders."""
        self._clock = clock
        self._open: dict[str, Document] = {}
        self._cells: dict[str, list[str]] = {}

    def __iter__(self) -> Iterator[Document]:
        return iter(tuple(self._open.values()))

    def now(self) -> float:
        """The time now, on the clock of `edited` and `seen`."""
        return self._clock()

    def get(self, uri: str) -> Document | None:
        return self._open.get(same(uri))

    def open(self, item: types.TextDocumentItem, notebook: str = "") -> Document:
        """Add a document; replaces one that is already open."""
        document = Document(item.uri, item.language_id, _version(item.version), Text(item.text, self.encoding), notebook)
        document.opened = True
        document.seen = self._clock()
        self._open[same(item.uri)] = document
        return document

    def change(self, uri: str, version: int, changes: Sequence[types.TextDocumentContentChangeEvent]) -> tuple[Document, bool] | None:
        """Apply edits in order; returns the document and whether this looks like typing. None: the document is not open."""
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
        """The open document, or the file on disk. Raises RequestError if there is neither."""
        if document := self.get(uri):
            document.seen = self._clock()
            return document
        path = path_of(uri)
        if path is None:
            raise RequestError(f"There is no open document {uri}.", "The editor has to open it first.")
        return Document(uri, "", None, Text(await asyncio.to_thread(read, path), self.encoding))

    def folder(self, path: Path) -> Path | None:
        """The innermost workspace folder that contains the file."""
        return max((folder for folder in self.folders if folder in path.parents), key=lambda one: len(one.parts), default=None)

    def relative(self, path: Path | None) -> str:
        """The path for prompts: relative to the innermost workspace folder, else the file's name; empty without a file."""
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
        """Replace `deleted` cells of a notebook, from `start` on, by `cells`."""
        order = self._cells.setdefault(same(uri), [])
        order[start : start + deleted] = [same(cell.document) for cell in cells]

    def close_notebook(self, uri: str) -> list[Document]:
        """Close a notebook and all its cells; returns the cells."""
        self._cells.pop(same(uri), None)
        cells = [document for document in self if document.notebook and document.identity == same(uri)]
        for document in cells:
            self.close(document.uri)
        return cells

    def above(self, document: Document) -> Iterator[Document]:
        """The cells above a cell in the same language, nearest first."""
        order, place = self._order(document)
        return self._alike(document, reversed(order[:place]))

    def below(self, document: Document) -> Iterator[Document]:
        """The cells below a cell in the same language, nearest first."""
        order, place = self._order(document)
        return self._alike(document, order[place + 1 :])

    def _order(self, document: Document) -> tuple[list[str], int]:
        order, own = self._cells.get(document.identity, []), same(document.uri)
        return (order, order.index(own)) if document.notebook and own in order else ([], 0)

    def _alike(self, document: Document, uris: Iterable[str]) -> Iterator[Document]:
        return (cell for uri in uris if (cell := self._open.get(uri)) is not None and cell.language == document.language)


def same(uri: str) -> str:
    """A URI in normalized spelling: editors differ in quoting and in how they write drives."""
    plain = unquote(uri)
    scheme, colon, rest = plain.partition(":")
    if colon and scheme.lower() in _OF_FILES:
        drive = _DRIVE.match(rest)
        rest = f"///{drive[1].lower()}:{rest[drive.end() :]}" if drive else rest
    return f"{scheme.lower()}{colon}{rest}" if colon else plain


@functools.lru_cache(maxsize=64)
def path_of(uri: str) -> Path | None:
    """The file that a URI names; None for other schemes (`untitled:`) and for invalid URIs such as `file://[::1/x`."""
    try:
        path = to_fs_path(uri) if uri.startswith(("file:", "vscode-notebook-cell:")) else None
    except ValueError:
        return None
    return Path(path) if path else None


def read(path: Path) -> str:
    """The text of a file; invalid UTF-8 is replaced. Raises RequestError if the file is missing or cannot be read."""
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
