"""`infill.generate`: from a position in a document to an edit, streamed as `infill/generation`. Converts from and to LSP; `Writer` does the work.

Code is generated from a snapshot. The edit is rebased to the document at the end, or refused with an error.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, Literal, cast

import msgspec
from lsprotocol import types

from infill import state
from infill.ask import Timings
from infill.completion.style import style_of
from infill.errors import RequestError
from infill.generation.prompt import Refinement
from infill.generation.rebase import rebased
from infill.generation.writer import Answerer, GenerationRequest, Progress, Writer
from infill.lsp.configuration import Configuration
from infill.lsp.convert import readable
from infill.lsp.documents import Document, Documents
from infill.lsp.progress import Bar
from infill.lsp.progress import Progress as Bars
from infill.lsp.rules import Rules
from infill.lsp.snapshot import declared
from infill.lsp.status import Status
from infill.lsp.text import PREFIX_CHARACTERS, SUFFIX_CHARACTERS

NOTIFY_EVERY = 0.03
"""Least seconds between two notifications: more often would not be visible. The first is sent at once."""
Answering = Callable[[str], tuple[Answerer, str, bool]]
"""From a model id (empty: the chosen model) to its provider, its full id, and whether it follows instructions."""


class Point(msgspec.Struct, frozen=True):
    """A position in the editor's units."""

    line: int
    character: int


class Span(msgspec.Struct, frozen=True):
    """A range of positions."""

    start: Point
    end: Point


class GenerateArgument(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of `infill.generate`: a position or a range."""

    uri: str = ""
    position: Point | None = None
    range: Span | None = None
    instruction: str = ""
    refine: Refinement | None = None
    model: str = ""
    apply: Literal["edit", "preview"] = "preview"


class Generate:
    """Generates code for documents."""

    def __init__(
        self,
        notify: Callable[[str, Any], None],
        apply_edit: Callable[[types.ApplyWorkspaceEditParams], Awaitable[types.ApplyWorkspaceEditResult]],
        configuration: Configuration,
        documents: Documents,
        rules: Rules,
        bars: Bars,
        status: Status,
        answering: Answering,
        to_json: Callable[[Any], Any],
    ) -> None:
        self._notify = notify
        self._apply_edit = apply_edit
        self._configuration = configuration
        self._documents = documents
        self._rules = rules
        self._bars = bars
        self._status = status
        self._answering = answering
        self._to_json = to_json
        self._numbers = itertools.count(1)

    def is_built_in(self) -> bool:
        """Whether the built-in model would generate the code."""
        return self._answering("")[1] == state.BUNDLED

    def follows_instructions(self) -> bool:
        """Whether the model that would generate the code is an instruct model."""
        return self._answering("")[2]

    async def run(self, argument: GenerateArgument) -> dict[str, Any]:
        """Generate and stream code; return the edit, or apply it. Raises RequestError, ProviderError, ModelError."""
        number = str(next(self._numbers))
        last, edit = await self.written(argument, number)
        if argument.apply == "edit" and last.text:
            await self._apply(edit)
        told = {"id": number, "text": last.text, "edit": self._to_json(edit), "model": last.model}
        return {**told, "notes": list(last.notes), "details": list(last.details), "timings": _timings(last.timings)}

    async def written(self, argument: GenerateArgument, number: str) -> tuple[Progress, types.WorkspaceEdit]:
        """Generate and stream code under this number; returns the result and its edit. Raises as `run`."""
        document = await self._find(argument)
        old = readable(str(document.text))
        last = await self._written(number, document, argument, old)
        return last, self._edit(document, old, last)

    async def _find(self, argument: GenerateArgument) -> Document:
        if not argument.uri:
            raise RequestError("infill.generate needs a document.", "Give `uri`, and `position` or `range`.")
        if argument.position is None and argument.range is None:
            raise RequestError("infill.generate needs a place.", "Give `position` or `range`.")
        document = await self._documents.find(argument.uri)
        if refusal := self._rules.disabled(document, await self._rules.judge(document)):
            raise RequestError(f"Nothing is written here: {refusal}.")
        return document

    async def _written(self, number: str, document: Document, argument: GenerateArgument, text: str) -> Progress:
        answerer, model, follows = self._answering(argument.model)
        request = self._request(document, argument, text, model, follows)
        writer = Writer(answerer, self._configuration.settings.generate)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        bar = self._bars.begin("infill: writing code", functools.partial(_stop, task))
        last, shown = None, 0.0
        try:
            with self._status.working(self._configuration.settings.generate.deadline_ms):
                async with aclosing(writer.write(request)) as progress:
                    async for last in progress:
                        if last.done or time.monotonic() - shown >= NOTIFY_EVERY:
                            shown = time.monotonic()
                            self._tell(number, last, bar)
        finally:
            bar.end()
        if last is None:
            raise RequestError("The model gave no answer.", "Try again, or choose another model.")
        return last

    def _tell(self, number: str, step: Progress, bar: Bar) -> None:
        rate = round(step.tokens_per_second, 1)
        self._notify("infill/generation", {"id": number, "text": step.text, "done": step.done, "tokens": step.tokens, "tokensPerSecond": rate})
        bar.report(min(1.0, step.tokens / self._configuration.settings.generate.max_tokens), f"{step.activity}{step.tokens} tokens, {rate:.0f}/s")

    def _request(self, document: Document, argument: GenerateArgument, text: str, model: str, follows: bool) -> GenerationRequest:
        where = argument.range or Span(*2 * (cast("Point", argument.position),))
        start, end = sorted((_offset(document, where.start), _offset(document, where.end)))
        verdict = self._rules.known(document)
        before, after = text[:start][-PREFIX_CHARACTERS:], text[end:][:SUFFIX_CHARACTERS]
        style = style_of(before, "", after, document.language, declared(document, verdict))
        return GenerationRequest(
            slot=f"generate:{document.identity}",
            text=text,
            start=start,
            end=end,
            language=document.language,
            path=self._documents.relative(document.path),
            instruction=argument.instruction,
            refine=argument.refine,
            model=model,
            follows_instructions=follows,
            unit="\t" if style.tabs else " " * style.step,
            remote_allowed=not verdict.refused,
        )

    def _edit(self, document: Document, old: str, last: Progress) -> types.WorkspaceEdit:
        """The edit for the current document. Raises RequestError if the range was edited or the document closed."""
        current = self._documents.get(document.uri)
        if current is None and document.opened:
            raise RequestError("The document was closed while the code was being written.", "Open it again and ask once more.")
        now = current or document
        place = rebased(old, readable(str(now.text)), last.place.start, last.place.end)
        if place is None:
            raise RequestError("The place was edited while the code was being written for it.", "Ask once more.")
        span = types.Range(start=_position(now, place[0]), end=_position(now, place[1]))
        text = last.text.replace("\n", _newline(now))
        versioned = types.OptionalVersionedTextDocumentIdentifier(uri=document.uri, version=now.version if current else None)
        edits: list[Any] = [types.TextEdit(range=span, new_text=text)] if last.text else []
        return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(text_document=versioned, edits=edits)])

    async def _apply(self, edit: types.WorkspaceEdit) -> None:
        # shielded: a late reply to a request that we cancelled is an error in pygls
        params = types.ApplyWorkspaceEditParams(edit=edit, label="infill: generated code")
        result = await asyncio.shield(asyncio.ensure_future(self._apply_edit(params)))
        if not result.applied:
            raise RequestError(f"The editor did not take the edit: {result.failure_reason or 'it gave no reason'}.", "Ask once more.")


def _timings(timings: Timings) -> dict[str, float]:
    """Timings as in `infill.explain`."""
    return {
        "firstTokenMs": round(timings.first_token_ms, 1),
        "evaluateMs": round(timings.evaluate_ms, 1),
        "generateMs": round(timings.generate_ms, 1),
        "tokensEvaluated": timings.tokens_evaluated,
        "tokensGenerated": timings.tokens_generated,
    }


def _stop(task: asyncio.Task[Any]) -> None:
    task.cancel()


def _newline(document: Document) -> str:
    return "\r\n" if any(line.endswith("\r\n") for line in document.text.lines[:50]) else "\n"


def _offset(document: Document, point: Point) -> int:
    """Offset in the text with every line end as a single newline."""
    line, index = document.text.locate(point.line, point.character)
    return sum(len(document.text.line(number)) + 1 for number in range(line)) + index


def _position(document: Document, offset: int) -> types.Position:
    for number in range(len(document.text.lines)):
        length = len(document.text.line(number))
        if offset <= length:
            return types.Position(*document.text.units(number, offset))
        offset -= length + 1
    return types.Position(*document.text.units(*document.text.locate(len(document.text.lines), 0)))
