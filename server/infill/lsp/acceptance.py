"""Counts which suggestions were shown, partly accepted and accepted. The counts stay on this machine; acceptances are reported to the completer."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from infill.ask import Report
from infill.completion.pipeline import Completer
from infill.completion.types import Outcome
from infill.lsp.answers import Answers, Given
from infill.lsp.background import Background
from infill.lsp.next_edit import Given as NextEdit
from infill.lsp.next_edit import NextEdits
from infill.stats import NEXT_EDITS, Event, Kind, Statistics

WRITE_AFTER = 200
"""Events kept in memory before they are written. Acceptances are written at once."""


class ResetArgument(msgspec.Struct, frozen=True):
    """The argument of `infill.stats`."""

    reset: bool = False


class Acceptance:
    """Handles the editor's reports of shown and accepted suggestions, sent as commands or notifications."""

    def __init__(self, answers: Answers, completer: Completer, next_edits: NextEdits, statistics: Statistics, background: Background) -> None:
        self._answers = answers
        self._completer = completer
        self._statistics = statistics
        self._background = background
        self._next_edits = next_edits
        completer.on_report = self.generated
        next_edits.on_told = self._of_next_edit

    async def on_did_show(self, params: Any) -> None:
        if given := self._of_item(params):
            self._count("shown", given, len(given.text))

    async def on_did_partially_accept(self, params: Any) -> None:
        length = params.get("acceptedLength") if isinstance(params, dict) else None
        if (given := self._of_item(params)) and isinstance(length, int) and not isinstance(length, bool) and length > 0:
            # LSP counts UTF-16 code units
            units = given.text.encode("utf-16-le", "surrogatepass")[: 2 * length]
            text = units.decode("utf-16-le", "ignore")
            self._count("partly", given, len(text))
            self._completer.accepted(given.uri, text)

    async def did_accept(self, suggestion: str) -> None:
        """Record an acceptance: the command of every suggestion. Suggestions that are no longer remembered are ignored."""
        if self._next_edits.accepted(suggestion):
            return
        if given := self._answers.given(suggestion):
            self._count("accepted", given, len(given.text))
            self._completer.accepted(given.uri, given.text)

    def answered(self, outcome: Outcome, language: str) -> None:
        """Count an outcome that has suggestions or a held-back one."""
        ms = outcome.timings.total_ms
        kind: Kind = "answered" if outcome.suggestions else "held"
        self._later(Event(kind=kind, provider=outcome.provider, model=outcome.model, language=language, source=outcome.source, ms=ms))

    def generated(self, report: Report) -> None:
        """Count the speed of a finished answer, whether or not it was shown."""
        timings = report.timings
        # a remote provider reports no generation time: measure from the first token to the end
        spent = timings.generate_ms or timings.total_ms - timings.first_token_ms
        if timings.tokens_generated and spent > 0:
            self._later(Event(kind="generated", provider=report.provider, model=report.model, tokens=timings.tokens_generated, generate_ms=spent))

    def _later(self, event: Event) -> None:
        self._statistics.add(event)
        if self._statistics.waiting >= WRITE_AFTER:
            self._write()

    async def stats(self, argument: ResetArgument) -> Any:
        if argument.reset:
            await asyncio.to_thread(self._statistics.reset)
        return await asyncio.to_thread(self._statistics.summary)

    def _of_next_edit(self, kind: Kind, given: NextEdit) -> None:
        self._statistics.add(Event(kind=kind, provider=NEXT_EDITS, model=given.suggestion.source, language=given.language))
        self._write()

    def _count(self, kind: Kind, given: Given, characters: int) -> None:
        self._statistics.add(Event(kind=kind, provider=given.provider, model=given.model, language=given.language, characters=characters))
        self._write()

    def _write(self) -> None:
        self._background.start(asyncio.to_thread(self._statistics.flush), "writing the statistics")

    def _of_item(self, params: Any) -> Given | None:
        """The suggestion of an item, found by the id in the item's command."""
        command = (params.get("item") or {}).get("command") if isinstance(params, dict) and isinstance(params.get("item"), dict) else None
        arguments = command.get("arguments") if isinstance(command, dict) else None
        return self._answers.given(arguments[0]) if isinstance(arguments, list) and arguments else None
