"""Next edits from a model, used if one is chosen and no rule applies. Requested in a typing pause, with lower priority than completions.

An answer is stopped as soon as it has rejoined the old text. No edit is returned if the document changed after the request.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from typing import Any, cast

import msgspec

from infill.ask import Delta, Event, Finish, Instruction, Report, Rewriting, Stop, Timings
from infill.edits import model
from infill.edits.formats import FORMATS, Question
from infill.edits.history import Undone
from infill.edits.model import GATES, Growing, Verdict
from infill.edits.types import Situation, Suggestion
from infill.errors import InfillError
from infill.lsp.configuration import Configuration
from infill.lsp.documents import Document, Documents
from infill.lsp.provision import LOCAL, Provision
from infill.providers import outgoing

PAUSE_SECONDS = 0.4
"""Seconds without typing before a model is asked."""
FILE_LINES = 160
"""Lines of the document in a prompt. The limit keeps prompt processing of the first one to a few seconds without a GPU."""
DEADLINE_MS = 8_000
CHARACTERS_PER_TOKEN = 3.0
"""Average of code, to estimate the number of tokens of a stopped answer, and so its mean log-probability."""


class Answer(msgspec.Struct):
    """An answer of the model, as far as it was read."""

    growing: Growing
    cut: bool = False
    mean_logprob: float = 0.0
    timings: Timings = Timings()


class ModelEdits:
    """Requests edits from the next-edit model."""

    def __init__(self, configuration: Configuration, provision: Provision, documents: Documents) -> None:
        self._configuration = configuration
        self._provision = provision
        self._documents = documents
        self.reason = ""
        """Result of the last request, as a sentence part."""
        self.last: dict[str, object] = {}
        """Figures of the last request, for `infill.explain`."""

    async def suggest(
        self, document: Document, situation: Situation, undone: Collection[Undone], rejected: Collection[str], *, remote_allowed: bool = False
    ) -> Suggestion | None:
        """The next edit, or None with its `reason`. Provider errors become a reason."""
        self.reason, self.last, revision = "no rule applies", {}, document.revision
        try:
            chosen = await asyncio.to_thread(self._chosen)
            if chosen is None or not await self._paused(document, revision):
                return None
            question = FORMATS[chosen[1]].ask(model.material(situation, self._documents.relative(document.path), file_lines=FILE_LINES))
            if question is None:
                self.reason = "the lines around the cursor are too long, or hold marks of the prompt format"
                return None
            if await self._masks(chosen[0], question):
                self.reason = "the lines around the cursor contain a secret, which would come back masked"
                return None
            verdict = await self._judge(document, situation, question, chosen[0], undone, rejected, remote_allowed=remote_allowed)
        except InfillError as exc:
            self.reason = f"the next-edit model did not answer: {exc}"
            return None
        self.reason = verdict.reason
        return model.suggestion(situation, verdict, chosen[2])

    def _chosen(self) -> tuple[str, str, str] | None:
        """The model's id, prompt format and name; None if none is chosen. Reads files. Raises ModelError."""
        from infill.models import next_edit, store

        chosen = self._provision.edit_model()
        if not chosen:
            return None
        if not chosen.startswith(f"{LOCAL}:"):
            return chosen, "instruct", chosen
        return chosen, next_edit.format_of(chosen), store.locate(chosen).title

    async def _paused(self, document: Document, revision: int) -> bool:
        await asyncio.sleep(max(0.0, document.edited + PAUSE_SECONDS - self._documents.now()))
        return document.revision == revision

    async def _masks(self, chosen: str, question: Question) -> bool:
        """Whether a secret in the prompt would be masked for a remote model: the answer would put the mask into the document."""
        return not chosen.startswith(f"{LOCAL}:") and (await asyncio.to_thread(outgoing.masked, question.messages))[1] > 0

    async def _judge(
        self,
        document: Document,
        situation: Situation,
        question: Question,
        chosen: str,
        undone: Collection[Undone],
        rejected: Collection[str],
        *,
        remote_allowed: bool,
    ) -> Verdict:
        started = time.monotonic()
        answer = await self._read(document, question, self._events(document, question, chosen, remote_allowed=remote_allowed))
        if answer is None:
            return Verdict((), "the document changed meanwhile")
        self.last = {
            "model": chosen,
            "format": question.format,
            "rejoined": answer.growing.region is not None,
            "milliseconds": round((time.monotonic() - started) * 1000),
            "tokens_evaluated": answer.timings.tokens_evaluated,
            "tokens_generated": answer.timings.tokens_generated,
        }
        gate = GATES[self._configuration.settings.next_edit.eagerness]
        # in a thread, with copies of the hunks that further edits move: the document is parsed with and without each edit
        propose = model.proposing(msgspec.structs.replace(situation, hunks=copy.deepcopy(situation.hunks)), undone, rejected)
        return await asyncio.to_thread(model.conclude, answer.growing, question, propose, cut=answer.cut, mean_logprob=answer.mean_logprob, gate=gate)

    def _events(self, document: Document, question: Question, chosen: str, *, remote_allowed: bool) -> AsyncIterator[Event]:
        slot, stop = f"{document.identity} (next edit)", Stop(max_tokens=question.max_tokens, deadline_ms=DEADLINE_MS)
        if question.pieces:
            return self._provision.local.rewrite(Rewriting(slot=slot, model=chosen, pieces=question.pieces, stop=stop))
        asked = Instruction(slot=slot, messages=question.messages, stop=stop, remote_allowed=remote_allowed)
        return cast("AsyncIterator[Event]", cast("Any", self._provision.writer(chosen)).generate(asked, chosen))

    async def _read(self, document: Document, question: Question, events: AsyncIterator[Event]) -> Answer | None:
        """The answer, as far as it is needed; None if the document changed meanwhile."""
        answer, revision = Answer(Growing(question)), document.revision
        async with aclosing(cast("Any", events)) as stream:
            async for event in stream:
                if document.revision != revision:
                    return None
                if isinstance(event, Delta):
                    if answer.growing.add(event.text):
                        answer.mean_logprob = (event.logprob or 0.0) / max(1.0, len(answer.growing.text) / CHARACTERS_PER_TOKEN)
                        break
                elif isinstance(event, Finish):
                    answer.cut, answer.mean_logprob = event.why in {"length", "deadline"}, event.mean_logprob
                elif isinstance(event, Report):
                    answer.timings = event.timings
                    answer.cut = answer.cut or bool(event.interrupted)
        return answer
