"""From an LSP position to suggestions and their range: the common part of `inline_completion` and `popup`.

On an error the editor gets an empty answer. The error changes the status, and is shown where the user can fix it. Cancellation is passed on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from lsprotocol import types

from infill.completion.pipeline import Completer
from infill.completion.types import CompletionRequest, Outcome, Suggestion
from infill.errors import ModelError, ProviderError
from infill.lsp import convert
from infill.lsp.configuration import Configuration
from infill.lsp.documents import Document, Documents
from infill.lsp.messages import Messages
from infill.lsp.provision import Provision
from infill.lsp.rules import Rules
from infill.lsp.snapshot import Snapshots
from infill.lsp.status import Status

REMEMBERED = 256
"""Number of suggestions whose acceptance can still be recorded."""

logger = logging.getLogger(__name__)


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A suggestion that was sent to the editor."""

    id: str
    uri: str
    language: str
    provider: str
    model: str
    text: str
    """The text inserted at the cursor."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Suggestions and their position in the document."""

    document: Document
    line: int
    index: int
    """The cursor."""
    until: tuple[int, int]
    """Where the text after the suggestion starts: at the cursor, or at the end of the range that the popup replaces."""
    request: CompletionRequest
    outcome: Outcome

    def end(self, suggestion: Suggestion) -> tuple[int, int]:
        """Line and index of the end of the replaced text."""
        return convert.advance(*self.until, self.request.suffix[: suggestion.replaces])

    def span(self, start: tuple[int, int], suggestion: Suggestion) -> types.Range:
        """The range from `start` to `end(suggestion)`, in the editor's units."""
        text = self.document.text
        return types.Range(start=types.Position(*text.units(*start)), end=types.Position(*text.units(*self.end(suggestion))))


class Answers:
    """Requests completions, and remembers the suggestions that were sent."""

    def __init__(
        self,
        *,
        configuration: Configuration,
        documents: Documents,
        rules: Rules,
        snapshots: Snapshots,
        completer: Completer,
        provision: Provision,
        status: Status,
        messages: Messages,
    ) -> None:
        self._configuration = configuration
        self._documents = documents
        self._rules = rules
        self._snapshots = snapshots
        self._completer = completer
        self._provision = provision
        self._status = status
        self._messages = messages
        self.on_answered: Callable[[Outcome, str], None] = lambda outcome, language: None
        """Called with each outcome that has suggestions or a held-back one, and the document's language."""
        self._given: OrderedDict[str, Given] = OrderedDict()
        self._numbers = itertools.count(1)
        self._running: set[asyncio.Task[Any]] = set()

    async def ask(self, uri: str, position: types.Position, *, automatic: bool, popup: types.SelectedCompletionInfo | None = None) -> Answer | None:
        """Suggestions for `position`; None if the document changed meanwhile. Raises RequestError if the document does not exist."""
        await self._configuration.known.wait()
        document = await self._documents.find(uri)
        revision = document.revision
        verdict = await self._rules.judge(document)
        await self._rules.renew(self._snapshots.context())
        if document.revision != revision:
            return None
        at, until, selected = _place(document, position, popup)
        request = self._snapshots.take(document, at, verdict, until=until, automatic=automatic, selected=selected)
        with self._status.working(self._configuration.settings.completion.deadline_ms), self._counted():
            outcome = await self._answer(request)
        self._status.answered(outcome)
        if document.revision != revision:
            return None
        if outcome.suggestions or outcome.held_back:
            self.on_answered(outcome, document.language)
        return Answer(document=document, line=at[0], index=at[1], until=until, request=request, outcome=outcome)

    async def _answer(self, request: CompletionRequest) -> Outcome:
        self._completer.provider, self._completer.model = self._provision.current(), self._provision.model()
        try:
            return await self._completer.complete(request)
        except (ProviderError, ModelError) as exc:
            logger.info("no answer: %s", exc)
            self._status.failed(exc)
            self._messages.trouble(exc)
            return Outcome(reason=exc.message)

    async def settled(self, seconds: float) -> None:
        """Wait until all running requests have been answered, at most `seconds`."""
        if running := tuple(self._running):
            await asyncio.wait(running, timeout=seconds)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        task = asyncio.current_task()
        if task is None:
            yield
            return
        self._running.add(task)
        try:
            yield
        finally:
            self._running.discard(task)

    def give(self, answer: Answer, suggestion: Suggestion) -> types.Command:
        """Remember a suggestion; returns the command with which the editor reports its acceptance."""
        given = Given(
            id=str(next(self._numbers)),
            uri=answer.request.uri,
            language=answer.request.language,
            provider=answer.outcome.provider,
            model=answer.outcome.model,
            text=suggestion.text,
        )
        self._given[given.id] = given
        while len(self._given) > REMEMBERED:
            self._given.popitem(last=False)
        return types.Command(title="infill: accepted", command="infill.didAccept", arguments=[given.id])

    def given(self, id_: object) -> Given | None:
        return self._given.get(id_) if isinstance(id_, str) else None


def _place(document: Document, position: types.Position, popup: types.SelectedCompletionInfo | None) -> tuple[tuple[int, int], tuple[int, int], str]:
    """Start of the suggestion, start of the text after it, and the part of the popup's selected item that is not yet typed."""
    cursor = document.text.locate(position.line, position.character)
    if popup is None:
        return cursor, cursor, ""
    start = document.text.locate(popup.range.start.line, popup.range.start.character)
    end = document.text.locate(popup.range.end.line, popup.range.end.character)
    until = max(cursor, end)
    typed = document.text.line(cursor[0])[start[1] : cursor[1]]
    if start[0] == cursor[0] and popup.text.startswith(typed):
        return cursor, until, popup.text[len(typed) :]
    return min(start, cursor), until, popup.text
