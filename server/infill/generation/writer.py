"""The flow of a generation: find the place, send the request, show the text so far, end with one edit.

No LSP, no sockets: the provider is a parameter. Cancellation closes the provider's stream, which stops the model at the next token.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

import msgspec

from infill.answers.code import is_reasoning
from infill.ask import Delta, Event, Finish, Instruction, Prompt, Report, Sampling, Stop, Timings
from infill.completion.style import Style, stop_columns
from infill.errors import NotAChatModel
from infill.generation import answer, place, prompt
from infill.generation.place import Place
from infill.generation.prompt import Refinement
from infill.providers.base import Limits
from infill.settings import Generate

NO_INSTRUCTIONS = "{model} is a base model: it continues code and does not follow instructions. Choose an instruct model for better results."


NO_CODE = "The answer of the model contains no code."
LIMITS = frozenset({"length", "deadline"})
"""Reasons other than the model's own end."""


class Answerer(Protocol):
    """A provider for both kinds of request: `providers.base.Provider` and `Generator`."""

    name: str

    @property
    def limits(self) -> Limits: ...

    def complete(self, prompt: Prompt) -> AsyncGenerator[Event, None]: ...

    def generate(self, instruction: Instruction, model: str = "") -> AsyncGenerator[Event, None]: ...


class GenerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The instruction and the place. A snapshot: offsets count code points of `text`."""

    slot: str
    text: str
    start: int
    end: int
    """Equal to `start` for a cursor."""
    language: str = ""
    path: str = ""
    instruction: str = ""
    refine: Refinement | None = None
    """Change code that was generated before; requires a model that follows instructions."""
    model: str = ""
    """Empty: the model chosen for `generate`."""
    follows_instructions: bool = True
    """False for base models and the bundled one, which get a fill-in-the-middle prompt."""
    unit: str = "    "
    """One level of indentation."""
    remote_allowed: bool = True


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The text so far; the last one has `done`."""

    text: str
    """Replaces `place.start:place.end`."""
    place: Place
    done: bool = False
    thinking: bool = False
    """The model is reasoning and has not begun the answer."""
    tokens: int = 0
    tokens_per_second: float = 0.0
    provider: str = ""
    model: str = ""
    interrupted: str = ""
    """Error that interrupted the answer, of which `text` is the beginning; empty if it is complete."""
    notes: tuple[str, ...] = ()
    """Notes for the user: what was cut, and why the answer ended early."""
    details: tuple[str, ...] = ()
    """Notes of the provider, for `explain`."""
    timings: Timings = Timings()

    @property
    def activity(self) -> str:
        """The state to show before the speed; empty while the model writes code."""
        return "thinking, " if self.thinking else ""


class Writer:
    """Generates code with a provider."""

    def __init__(self, answerer: Answerer, settings: Generate, clock: Callable[[], float] = time.monotonic) -> None:
        self.answerer = answerer
        self.settings = settings
        self._clock = clock

    async def write(self, request: GenerationRequest) -> AsyncGenerator[Progress, None]:
        """Yield progress while text arrives, then the finished one. Raises RequestError, ProviderError, ModelError."""
        where = place.find(request.text, request.start, request.end, request.language, request.instruction, request.unit)
        if request.refine and not request.follows_instructions:
            raise NotAChatModel(f"{request.model} is a base model: it cannot change code by an instruction.", "Choose an instruct model.")
        if not request.follows_instructions:
            async with aclosing(self._attempt(request, where, by_fim=True)) as progress:
                async for step in progress:
                    yield step
            return
        try:
            async with aclosing(self._attempt(request, where, by_fim=False)) as progress:
                async for step in progress:
                    yield step
        except NotAChatModel:
            # no chat template: use fill-in-the-middle, and the note says so
            async with aclosing(self._attempt(request, where, by_fim=True)) as progress:
                async for step in progress:
                    yield step

    async def _attempt(self, request: GenerationRequest, where: Place, *, by_fim: bool) -> AsyncGenerator[Progress, None]:
        around = prompt.surroundings(request.text, where, self._budget())
        before, after = request.text[: where.start], request.text[where.end :]
        raw, started, why = "", self._clock(), "end"
        report = Report(provider=self.answerer.name, model=request.model)

        def shown(*, done: bool) -> str:
            said = answer.Raw(text=raw, from_fim=by_fim, language=request.language, done=done, cut_short=done and why in LIMITS)
            return answer.placed(said, where, before, after)

        async with aclosing(self._by_fim(request, where, around) if by_fim else self._by_instruction(request, where, around)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    raw += event.text
                    thinking = not by_fim and is_reasoning(raw)
                    yield self._so_far(raw, shown(done=False), where, self._clock() - started, thinking=thinking)
                    if answer.runs_in_circles(raw):
                        why = "circles"
                        break
                elif isinstance(event, Finish):
                    why = event.why
                else:
                    report = event
        last = self._so_far(raw, shown(done=True), where, self._clock() - started)
        remarks = self._remarks(report, why, by_fim=by_fim) + ((NO_CODE,) if raw.strip() and not last.text and not by_fim else ())
        yield self._finished(report, last, around.notes + remarks, request.model)

    def _so_far(self, raw: str, text: str, where: Place, seconds: float, *, thinking: bool = False) -> Progress:
        # the provider sends pieces of text: estimate tokens from their usual length until the report arrives
        tokens = round(len(raw) / self.answerer.limits.chars_per_token)
        return Progress(text=text, place=where, thinking=thinking, tokens=tokens, tokens_per_second=tokens / max(seconds, 1e-6))

    def _finished(self, report: Report, last: Progress, notes: tuple[str, ...], asked: str) -> Progress:
        timings = report.timings
        measured = timings.tokens_generated and timings.generate_ms
        return msgspec.structs.replace(
            last,
            done=True,
            tokens=timings.tokens_generated or last.tokens,
            tokens_per_second=1000 * timings.tokens_generated / timings.generate_ms if measured else last.tokens_per_second,
            provider=report.provider,
            model=report.model or asked,
            interrupted=report.interrupted,
            notes=notes,
            details=report.notes,
            timings=timings,
        )

    def _remarks(self, report: Report, why: str, *, by_fim: bool) -> tuple[str, ...]:
        remarks: tuple[str, ...] = (NO_INSTRUCTIONS.format(model=report.model),) if by_fim else ()
        if why in LIMITS:
            remarks += (f"Ended at {self.settings.max_tokens} tokens or the deadline, after the last whole statement.",)
        if report.interrupted:
            remarks += (f"The answer is incomplete: {report.interrupted}",)
        if why == "circles":
            remarks += ("Stopped early: the output was repeating.",)
        return remarks

    def _budget(self) -> int:
        """Number of characters of the document that fit beside the answer."""
        limits = self.answerer.limits
        return int((limits.prefix_tokens + limits.suffix_tokens) * limits.chars_per_token)

    def _sampling(self) -> Sampling:
        return Sampling(temperature=self.settings.temperature)

    def _by_fim(self, request: GenerationRequest, where: Place, around: prompt.Surroundings) -> AsyncGenerator[Event, None]:
        selected = request.text[where.start : where.end]
        prefix, suffix = prompt.fim_parts(around, where, selected, request.language)
        indent, tab = stop_columns(where.indent, Style(tabs=request.unit == "\t", step=len(request.unit)))
        stop = Stop(max_tokens=self.settings.max_tokens, indent=indent or None, tab=tab, deadline_ms=self.settings.deadline_ms)
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
                model=request.model if request.model.startswith("local:") else "",
            )
        )

    def _by_instruction(self, request: GenerationRequest, where: Place, around: prompt.Surroundings) -> AsyncGenerator[Event, None]:
        selected = request.text[where.start : where.end]
        messages = prompt.conversation(around, where, selected, request.language, request.path)
        messages = prompt.refined(messages, request.refine, request.language)
        stop = Stop(max_tokens=self.settings.max_tokens, deadline_ms=self.settings.deadline_ms)
        instruction = Instruction(
            slot=request.slot,
            messages=messages,
            sampling=self._sampling(),
            stop=stop,
            remote_allowed=request.remote_allowed,
            thinking=self.settings.thinking,
        )
        return self.answerer.generate(instruction, request.model)
