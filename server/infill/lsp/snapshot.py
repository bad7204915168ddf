"""From a cursor in a document to a `CompletionRequest`: everything that is asked, copied out, bounded. Nothing here waits or remembers but excerpts.

What is handed on never changes while it is answered.
"""

from __future__ import annotations

from collections import deque

from infill.completion.types import CompletionRequest, Indentation, Neighbour
from infill.lsp.documents import Document, Documents
from infill.lsp.rules import Rules, Verdict
from infill.lsp.text import PREFIX_CHARACTERS, SUFFIX_CHARACTERS

NEIGHBOURS = 12
"""Other documents that are shown with a request, the most recently used first."""
NEIGHBOUR_CHARACTERS = 8_000
"""Longest excerpt of one, around its last edit."""
CLOSED_NEIGHBOURS = 4
"""Edited documents whose excerpt is kept after they were closed."""


class Snapshots:
    """Makes requests out of documents."""

    def __init__(self, documents: Documents, rules: Rules) -> None:
        self._documents = documents
        self._rules = rules
        self._excerpts: dict[str, tuple[int, Neighbour]] = {}
        self._closed: deque[tuple[Document, Neighbour]] = deque(maxlen=CLOSED_NEIGHBOURS)

    def take(
        self,
        document: Document,
        at: tuple[int, int],
        verdict: Verdict,
        *,
        until: tuple[int, int] | None = None,
        automatic: bool = True,
        selected: str = "",
    ) -> CompletionRequest:
        """What is asked at line and index `at`; what lies between that and `until` is going to be replaced."""
        line, index = at
        return CompletionRequest(
            uri=document.identity,
            path=self._documents.relative(document.path),
            language=document.language,
            version=document.version or 0,
            prefix=self._prefix(document, line, index),
            suffix=self._suffix(document, *(until or at)),
            automatic=automatic,
            selected=selected,
            indentation=declared(document, verdict),
            disabled=self._rules.disabled(document, verdict) or (self._rules.paused() if automatic else ""),
            remote_allowed=not verdict.refused,
            neighbours=self._neighbours(document),
        )

    def context(self) -> list[Document]:
        """Documents whose text may serve as context: the open ones, the most recently used first, and those whose excerpt was kept."""
        return self._newest() + [document for document, _ in self._closed]

    def opened(self, document: Document) -> None:
        """Drop what was kept of it when it was closed."""
        for old in [old for old in self._closed if old[0].identity == document.identity]:
            self._closed.remove(old)

    def closed(self, document: Document) -> bool:
        """Keep an excerpt of what was edited; returns whether one is kept, which needs verdicts about the file from now on."""
        kept = bool(document.edited) and not self._rules.known(document).refused
        if kept:
            self._closed.append((document, self._excerpt(document)))
        self.forget(document)
        return kept

    def forget(self, document: Document) -> None:
        """Drop the excerpt of a document that is open no longer."""
        self._excerpts.pop(document.uri, None)

    def _prefix(self, document: Document, line: int, index: int) -> str:
        prefix = document.text.before(line, index)
        for cell in self._documents.above(document) if document.notebook else ():
            if len(prefix) >= PREFIX_CHARACTERS:
                break
            last = len(cell.text.lines) - 1
            above = cell.text.before(last, len(cell.text.line(last)))
            prefix = f"{above}\n{prefix}" if above and not above.endswith("\n") else above + prefix
        return prefix

    def _suffix(self, document: Document, line: int, index: int) -> str:
        suffix = document.text.after(line, index)
        for cell in self._documents.below(document) if document.notebook else ():
            if len(suffix) >= SUFFIX_CHARACTERS:
                break
            below = cell.text.after(0, 0)
            suffix = suffix + below if suffix.endswith("\n") else f"{suffix}\n{below}"
        return suffix

    def _neighbours(self, document: Document) -> tuple[Neighbour, ...]:
        def may_be_shown(other: Document) -> bool:
            return other.identity != document.identity and not self._rules.known(other).refused

        opened = [other for other in self._newest() if may_be_shown(other)][:NEIGHBOURS]
        return (*map(self._excerpt, opened), *(excerpt for closed, excerpt in self._closed if may_be_shown(closed)))

    def _newest(self) -> list[Document]:
        return sorted(self._documents, key=lambda other: other.seen, reverse=True)

    def _excerpt(self, document: Document) -> Neighbour:
        known = self._excerpts.get(document.uri)
        if known is None or known[0] != document.revision:
            text = document.text.around(document.cursor[0], NEIGHBOUR_CHARACTERS)
            known = (document.revision, Neighbour(self._documents.relative(document.path), text, document.edited))
            self._excerpts[document.uri] = known
        return known[1]


def declared(document: Document, verdict: Verdict) -> Indentation:
    """What the editor says of a document's indentation; what it leaves out, `.editorconfig` says."""
    by_editor, by_file = document.indentation, verdict.indentation
    return Indentation(
        tabs=by_file.tabs if by_editor.tabs is None else by_editor.tabs,
        step=by_editor.step or by_file.step,
        tab=by_editor.tab or by_file.tab,
    )
