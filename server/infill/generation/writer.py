"""The story of a generation: find the place, ask the model, show what is there so far, end with one edit.

No LSP, no sockets: the provider is handed in. Being cancelled closes the provider's stream, which stops the model at the next token.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Protocol

import msgspec

from infill.ask import Delta, Event, Finish, Instruction, Prompt, Report, Sampling, Stop, Timings
from infill.errors import ProviderRefused
from infill.generation import answer, place, prompt
from infill.generation.place import Place
from infill.providers.base import Limits
from infill.settings import Generate

NO_INSTRUCTIONS = "The model {model} follows no instructions: it only continues the code at the place."


class Answerer(Protocol):
    """A provider that can do both: `providers.base.Provider` and `Generator`."""

    @property
    def limits(self) -> Limits: ...

    def complete(self, prompt: Prompt) -> AsyncIterator[Event]: ...

    def generate(self, instruction: Instruction, model: str = "") -> AsyncIterator[Event]: ...


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted, where. A snapshot: offsets count code points of `text`."""

    slot: str
    text: str
    start: int
    end: int
    """Equal to `start` for a cursor."""
    language: str = ""
    path: str = ""
    instruction: str = ""
    model: str = ""
    """Empty: the one chosen for `generate`."""
    follows_instructions: bool = True
    """False for base models and the bundled one: they are asked by fill-in-the-middle."""
    unit: str = "    "
    """One level of indentation."""
    remote_allowed: bool = True


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What is there so far; the last one has `done`."""

    text: str
    """Goes in the place of `place.start:place.end`."""
    place: Place
    done: bool = False
    tokens: int = 0
    tokens_per_second: float = 0.0
    provider: str = ""
    model: str = ""
    notes: tuple[str, ...] = ()
    timings: Timings = Timings()


class Writer:
    """Writes code with whoever answers."""

    def __init__(self, answerer: Answerer, settings: Generate, clock: Callable[[], float] = time.monotonic) -> None:
        self.answerer = answerer
        self.settings = settings
        self._clock = clock

    async def write(self, request: GenerationRequest) -> AsyncGenerator[Progress, None]:
        """Yield progress as text arrives, then the finished one. Raises RequestError, ProviderError, ModelError."""
        where = place.find(request.text, request.start, request.end, request.language, request.instruction, request.unit)
        if not request.follows_instructions:
            async with aclosing(self._attempt(request, where, by_fim=True)) as progress:
                async for step in progress:
                    yield step
            return
        try:
            async with aclosing(self._attempt(request, where, by_fim=False)) as progress:
                async for step in progress:
                    yield step
        except ProviderRefused as refusal:
            if "instruction" not in refusal.message:
                raise
            # no chat template: what fill-in-the-middle gives is better than nothing, and the note says what it is
            async with aclosing(self._attempt(request, where, by_fim=True)) as progress:
                async for step in progress:
                    yield step

    async def _attempt(self, request: GenerationRequest, where: Place, *, by_fim: bool) -> AsyncGenerator[Progress, None]:
        around = prompt.surroundings(request.text, where, self._budget())
        before, after = request.text[: where.start], request.text[where.end :]
        raw, tokens, started, why = "", 0, self._clock(), "end"
        events = self._by_fim(request, where, around) if by_fim else self._by_instruction(request, where, around)
        async for event in events:
            if isinstance(event, Delta):
                raw, tokens = raw + event.text, tokens + 1
                text = answer.placed(raw, where, before, after, cut_short=False, from_fim=by_fim)
                rate = tokens / max(self._clock() - started, 1e-6)
                yield Progress(text=text, place=where, tokens=tokens, tokens_per_second=rate)
            elif isinstance(event, Finish):
                why = event.why
            else:
                cut_short = why in {"length", "deadline"}
                text = answer.placed(raw, where, before, after, cut_short=cut_short, from_fim=by_fim)
                yield self._finished(event, where, text, around.notes + self._remarks(event, by_fim=by_fim, cut_short=cut_short))

    def _finished(self, report: Report, where: Place, text: str, notes: tuple[str, ...]) -> Progress:
        timings = report.timings
        rate = 1000 * timings.tokens_generated / timings.generate_ms if timings.generate_ms else 0.0
        return Progress(
            text=text,
            place=where,
            done=True,
            tokens=timings.tokens_generated,
            tokens_per_second=rate,
            provider=report.provider,
            model=report.model,
            notes=notes + report.notes,
            timings=timings,
        )

    def _remarks(self, report: Report, *, by_fim: bool, cut_short: bool) -> tuple[str, ...]:
        remarks: tuple[str, ...] = (NO_INSTRUCTIONS.format(model=report.model),) if by_fim else ()
        if cut_short:
            remarks += (f"ended at {self.settings.max_tokens} tokens or the deadline, after the last whole statement",)
        return remarks

    def _budget(self) -> int:
        """Characters of document that the model can read beside what it will write."""
        limits = self.answerer.limits
        return int((limits.prefix_tokens + limits.suffix_tokens) * limits.chars_per_token)

    def _sampling(self) -> Sampling:
        return Sampling(temperature=self.settings.temperature)

    def _by_fim(self, request: GenerationRequest, where: Place, around: prompt.Surroundings) -> AsyncIterator[Event]:
        selected = request.text[where.start : where.end]
        prefix, suffix = prompt.fim_parts(around, where, selected, request.language)
        stop = Stop(max_tokens=self.settings.max_tokens, indent=len(where.indent.expandtabs(8)) or None, deadline_ms=self.settings.deadline_ms)
        return self.answerer.complete(
            Prompt(
                slot=request.slot,
                prefix=prefix,
                suffix=suffix,
                path=request.path,
                sampling=self._sampling(),
                stop=stop,
                priority="invoked",
                remote_allowed=request.remote_allowed,
            )
        )

    def _by_instruction(self, request: GenerationRequest, where: Place, around: prompt.Surroundings) -> AsyncIterator[Event]:
        selected = request.text[where.start : where.end]
        messages = prompt.conversation(around, where, selected, request.language, request.path)
        stop = Stop(max_tokens=self.settings.max_tokens, deadline_ms=self.settings.deadline_ms)
        instruction = Instruction(slot=request.slot, messages=messages, sampling=self._sampling(), stop=stop, remote_allowed=request.remote_allowed)
        return self.answerer.generate(instruction, request.model)
