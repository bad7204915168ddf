"""From a cursor in a document to a `CompletionRequest`: an immutable copy of all its inputs, bounded in size.

It does no I/O, and keeps no state except excerpts.
"""

from __future__ import annotations

from collections import deque

from infill.completion.types import CompletionRequest, Indentation, Neighbour
from infill.lsp.documents import Document, Documents
from infill.lsp.rules import Rules, Verdict
from infill.lsp.text import PREFIX_CHARACTERS, SUFFIX_CHARACTERS

NEIGHBOURS = 12
"""Number of other documents in a request, the most recently used first."""
NEIGHBOUR_CHARACTERS = 8_000
"""Longest excerpt of another document, around its last edit."""
CLOSED_NEIGHBOURS = 4
"""Number of edited documents whose excerpt is kept after they were closed."""


class Snapshots:
    """Makes completion requests from documents."""

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
        """The request at line and index `at`. The text from there to `until` will be replaced."""
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
        """Documents that may serve as context: the open ones, most recently used first, then closed ones with a kept excerpt."""
        return self._newest() + [document for document, _ in self._closed]

    def opened(self, document: Document) -> None:
        """Drop the excerpt that was kept when it was closed."""
        for old in [old for old in self._closed if old[0].identity == document.identity]:
            self._closed.remove(old)

    def closed(self, document: Document) -> bool:
        """Keep an excerpt of an edited document; returns whether one is kept, because then the file's verdict is still needed."""
        kept = bool(document.edited) and not self._rules.known(document).refused
        if kept:
            self._closed.append((document, self._excerpt(document)))
        self.forget(document)
        return kept

    def forget(self, document: Document) -> None:
        """Drop the excerpt of a closed document."""
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
    """A document's indentation as the editor reports it, completed from `.editorconfig`."""
    by_editor, by_file = document.indentation, verdict.indentation
    return Indentation(
        tabs=by_file.tabs if by_editor.tabs is None else by_editor.tabs,
        step=by_editor.step or by_file.step,
        tab=by_editor.tab or by_file.tab,
    )
