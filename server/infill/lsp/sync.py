"""`textDocument/did*` and `notebookDocument/did*`: updates the documents, then informs the completer.

A handler changes the document before its first `await`, so that a later request always sees the change. Some editors also report where the cursor
rests, by `infill/cursor` or a code action request. The prompt at that position is then processed before the first key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from lsprotocol import types

from infill.completion.pipeline import Completer
from infill.completion.types import Indentation
from infill.lsp.background import Background
from infill.lsp.documents import Document, Documents
from infill.lsp.next_edit import NextEdits
from infill.lsp.rules import Rules
from infill.lsp.snapshot import Snapshots

WIDEST = 16
"""Largest tab width in columns that is accepted from an editor."""

logger = logging.getLogger(__name__)


class Sync:
    """Updates the documents and everything that depends on them."""

    def __init__(
        self, documents: Documents, rules: Rules, snapshots: Snapshots, completer: Completer, next_edits: NextEdits, background: Background
    ) -> None:
        self._documents = documents
        self._rules = rules
        self._snapshots = snapshots
        self._completer = completer
        self._next_edits = next_edits
        self._background = background
        self.on_saved: Callable[[], None] = lambda: None
        """Called whenever a document was saved."""

    async def on_did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self._opened(self._documents.open(params.text_document))

    async def on_did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self._change(params.text_document, params.content_changes)

    async def on_did_save(self, params: types.DidSaveTextDocumentParams) -> None:
        if document := self._documents.get(params.text_document.uri):
            self._next_edits.saved(document)
        self.on_saved()

    async def on_did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        if document := self._documents.close(params.text_document.uri):
            self._closed([document])

    async def on_notebook_did_open(self, params: types.DidOpenNotebookDocumentParams) -> None:
        self._documents.open_notebook(params.notebook_document.uri, params.notebook_document.cells, params.cell_text_documents)
        for item in params.cell_text_documents:
            if document := self._documents.get(item.uri):
                self._opened(document)

    async def on_notebook_did_change(self, params: types.DidChangeNotebookDocumentParams) -> None:
        uri, cells = params.notebook_document.uri, params.change.cells
        if cells is None:
            return
        if structure := cells.structure:
            self._documents.change_cells(uri, structure.array.start, structure.array.delete_count, structure.array.cells or [])
            for item in structure.did_open or []:
                self._opened(self._documents.open(item, notebook=uri))
            for closed in structure.did_close or []:
                if document := self._documents.close(closed.uri):
                    self._snapshots.forget(document)
                    self._next_edits.closed(document)
        for change in cells.text_content or []:
            self._change(change.document, change.changes)

    async def on_notebook_did_close(self, params: types.DidCloseNotebookDocumentParams) -> None:
        self._closed(self._documents.close_notebook(params.notebook_document.uri))

    async def on_cursor(self, params: Any) -> None:
        """`infill/cursor`, as plain JSON. Its `options` are LSP's `FormattingOptions`."""
        try:
            uri, at = params["textDocument"]["uri"], params["position"]
            if document := self._documents.get(uri):
                document.indentation = _indentation(params.get("options")) or document.indentation
            self.cursor_rests(uri, types.Position(line=_count(at["line"]), character=_count(at["character"])))
        except (KeyError, TypeError, ValueError):
            logger.warning("ignored a place of the cursor that is none")

    def cursor_rests(self, uri: object, position: types.Position) -> None:
        """Record the cursor's position. Ignored if the document is not open or the position has not changed."""
        document = self._documents.get(uri) if isinstance(uri, str) else None
        if document is None:
            return
        at = document.text.locate(position.line, position.character)
        if at != document.cursor:
            document.cursor = at
            self._completer.moved(self._snapshots.take(document, at, self._rules.known(document)))

    def rules_changed(self) -> None:
        """Judge every document again after a change of settings or folders."""
        for document in self._documents:
            self._background.start(self._rules.judge(document), "judging a file")

    def _opened(self, document: Document) -> None:
        self._snapshots.opened(document)
        # not after the file is judged: a request may be running by then, and this would look like a change of the document
        self._completer.changed(self._snapshots.take(document, document.cursor, self._rules.known(document)), typed=False)
        self._background.start(self._rules.judge(document), "judging a file")

    def _change(self, identifier: types.VersionedTextDocumentIdentifier, changes: Sequence[types.TextDocumentContentChangeEvent]) -> None:
        changed = self._documents.change(identifier.uri, identifier.version, changes)
        if changed is not None:
            document, typed = changed
            self._next_edits.changed(document)
            self._completer.changed(self._snapshots.take(document, document.cursor, self._rules.known(document)), typed=typed)

    def _closed(self, documents: list[Document]) -> None:
        for document in documents:
            kept = self._snapshots.closed(document)
            self._next_edits.closed(document)
            if not kept:
                self._rules.forget(document)
        for identity in {document.identity for document in documents}:
            self._completer.closed(identity)


def _indentation(options: Any) -> Indentation | None:
    """The indentation in an editor's `FormattingOptions`; None if they are not an object."""
    if not isinstance(options, dict):
        return None
    size, spaces = options.get("tabSize"), options.get("insertSpaces")
    columns = size if isinstance(size, int) and not isinstance(size, bool) and 0 < size <= WIDEST else 0
    return Indentation(tabs=not spaces if isinstance(spaces, bool) else None, step=columns, tab=columns)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value
