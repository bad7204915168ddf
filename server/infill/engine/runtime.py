"""One loaded model at work: answers what the engine's queue hands it, one chunk of work at a time, all on the one inference thread.

Each of `complete`, `warm` and `generate` is a generator. A step does at most one chunk (a part of the prompt, or a few tokens); between two steps
the queue may turn to somebody else, drop the generator (`close`), or let it go on. Only `abort` may be called from another thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from infill.ask import Finish, Sampling, Snippet, Stop, Timings
from infill.engine import kv, prompt_tokens
from infill.engine.decoding import Generation
from infill.engine.llama import Context, LoadStopped, Model
from infill.engine.prompt_tokens import Parts
from infill.engine.protocol import Complete, Done, Generate, ModelStatus, SlotStatus, Text, Warm
from infill.engine.slots import SEQUENCES, Slot, Slots
from infill.errors import ProviderRefused
from infill.models.fit import Plan
from infill.models.store import ModelFile

__all__ = ["LoadStopped", "Runtime"]

CHUNK = 128
"""Prompt tokens evaluated in one step."""


class Run:
    """What one request did: its timings and the notes for `infill.explain`."""

    def __init__(self, deadline_ms: float) -> None:
        self.started = time.monotonic()
        self.deadline = self.started + deadline_ms / 1000
        self.notes: list[str] = []
        self.kept = self.evaluated = 0
        self.evaluate_seconds = self.first_token = 0.0

    def timings(self, generation: Generation | None) -> Timings:
        return Timings(
            total_ms=(time.monotonic() - self.started) * 1000,
            first_token_ms=self.first_token * 1000,
            evaluate_ms=self.evaluate_seconds * 1000,
            generate_ms=generation.seconds * 1000 if generation else 0.0,
            tokens_evaluated=self.evaluated,
            tokens_kept=self.kept,
            tokens_generated=sum(len(candidate.tokens) for candidate in generation.candidates) if generation else 0,
        )


class Runtime:
    """A model, its context and its slots."""

    def __init__(self, file: ModelFile, plan: Plan, model: Model) -> None:
        self._file, self._plan, self._model = file, plan, model
        self._context = Context(model, plan, SEQUENCES)
        self._slots = Slots(self._context)
        self._closed = False
        self._fim: prompt_tokens.Fim | None = None
        self._evaluated = self._generated = 0
        self._evaluate_seconds = self._generate_seconds = 0.0

    @classmethod
    def load(cls, model: ModelFile, plan: Plan, progress: Callable[[float], bool]) -> Runtime:
        """Load a model, which takes a while; `progress` gets 0 to 1 and answers False to stop.

        Raises BadModelFile, DoesNotFit, or LoadStopped (asked to stop: an outcome, no error).
        """
        weights = Model(model.path, plan, progress)
        try:
            return cls(model, plan, weights)
        except BaseException:
            weights.close()
            raise

    def close(self) -> None:
        """Give all memory back. Generators that are still open end at their next step."""
        self._closed = True
        self._context.close()
        self._model.close()

    # ---- the requests

    def complete(self, ask: Complete) -> Iterator[Text | Done | None]:
        """Fill in the middle."""
        run = Run(ask.stop.deadline_ms)
        longest = min(ask.stop.max_tokens, self._room // 4)  # a long answer must not starve the prompt
        wanted, suffix = self._prompt(ask.prefix, ask.suffix, ask.snippets, ask.path, longest, ask.slot, run)
        stop = msgspec.structs.replace(ask.stop, max_tokens=min(ask.stop.max_tokens, self._room - len(wanted)))
        return self._answer(ask.id, ask.slot, wanted, suffix, ask.sampling, stop, ask.candidates, run)

    def generate(self, ask: Generate) -> Iterator[Text | Done | None]:
        """Answer a conversation through the model's own chat template. Raises ProviderRefused where it has none."""
        if not self._model.chat_template:
            raise ProviderRefused(f"{self._file.title} follows no instructions: it has no chat template.", "Choose an instruct model.")
        run = Run(ask.stop.deadline_ms)
        wanted = prompt_tokens.chat(ask.messages, self._model.render_chat, self._model.tokenize)
        room = self._room
        if len(wanted) + min(ask.stop.max_tokens, 64) > room:
            raise ProviderRefused(f"The instruction takes {len(wanted)} tokens, and {self._file.title} has room for {room}.", "Select less code.")
        stop = msgspec.structs.replace(ask.stop, max_tokens=min(ask.stop.max_tokens, room - len(wanted)))
        return self._answer(ask.id, ask.slot, wanted, (), ask.sampling, stop, 1, run)

    def warm(self, ask: Warm) -> Iterator[Done | None]:
        """Evaluate a prompt, so that it is there when it is asked for."""
        run = Run(float("inf"))
        wanted, suffix = self._prompt(ask.prefix, ask.suffix, ask.snippets, ask.path, Stop().max_tokens, ask.slot, run)
        slot = self._slots.take(ask.slot, run)
        slot.suffix = suffix
        try:
            yield from self._evaluate(slot, wanted, run)
            yield self._done(ask.id, run, None)
        finally:
            self._leave(slot, len(wanted), run)

    def idle_work(self) -> Iterator[None] | None:
        """Something useful to do while nobody asks; None: nothing."""
        return None

    def abort(self) -> None:
        """Have the step that runs now return soon (thread-safe): it yields None, and its generator can be closed or stepped on."""
        self._context.abort()

    def forget(self, slot: str) -> None:
        """A document was closed."""
        self._slots.forget(slot)

    # ---- what they are made of

    @property
    def _room(self) -> int:
        """Tokens that a prompt and its answer may have together."""
        return min(self._model.trained_context, self._context.size)

    def _prompt(
        self, prefix: str, suffix: str, snippets: Sequence[Snippet], path: str, max_tokens: int, name: str, run: Run
    ) -> tuple[list[int], Sequence[int]]:
        """The prompt's tokens, cut to the budget, and those of its suffix. Raises NotAFimModel."""
        if self._fim is None:
            self._fim = prompt_tokens.fim_of(self._model, self._file.fim_order, self._file.title)
        tokenize = self._model.tokenize
        parts = Parts(prefix=tokenize(prefix), suffix=tokenize(suffix), header=prompt_tokens.header(self._fim, snippets, path, tokenize))
        room = self._room - prompt_tokens.overhead(self._fim) - max_tokens
        previous = next((slot.suffix for slot in self._slots if slot.name == name), ())
        parts, notes = prompt_tokens.fit(parts, prompt_tokens.budget(room), previous)
        run.notes += notes
        return prompt_tokens.join(self._fim, parts), parts.suffix

    def _answer(
        self, number: int, name: str, wanted: list[int], suffix: Sequence[int], sampling: Sampling, stop: Stop, count: int, run: Run
    ) -> Iterator[Text | Done | None]:
        slot = self._slots.take(name, run)
        slot.suffix = suffix
        branches: list[int] = []
        generation = Generation(self._context, self._model, sampling, stop, run.deadline)

        def branch() -> int | None:
            if (sequence := self._slots.take_branch()) is not None:
                branches.append(sequence)
            return sequence

        try:
            yield from self._evaluate(slot, wanted, run)
            if slot.owner is run and len(slot.tokens) == len(wanted):
                for pieces in generation.run(slot.sequence, len(wanted), count, branch):
                    run.first_token = run.first_token or time.monotonic() - run.started
                    for candidate, text in pieces:
                        yield Text(id=number, text=text, candidate=candidate)
                    if not pieces:
                        yield None
                    self._context.rearm()
                    if slot.owner is not run:
                        break
            yield self._done(number, run, generation)
        finally:
            self._generated += generation.evaluated
            self._generate_seconds += generation.seconds
            generation.close()
            for sequence in branches:
                self._slots.give_branch(sequence)
            self._leave(slot, len(wanted), run)

    def _evaluate(self, slot: Slot, wanted: list[int], run: Run) -> Iterator[None]:
        """Make the slot hold the prompt, a chunk a step; ends early at the deadline, or when somebody else takes the slot."""
        layout = kv.arrange(slot.tokens, wanted, False, kv.Costs())
        run.kept = layout.kept
        self._context.rearm()
        started = time.perf_counter()
        for count in self._slots.fill(slot, wanted, layout, min(CHUNK, self._context.largest_batch)):
            took = time.perf_counter() - started
            run.evaluated += count
            run.evaluate_seconds += took
            self._evaluated += count
            self._evaluate_seconds += took
            if len(slot.tokens) == len(wanted):
                continue
            if time.monotonic() > run.deadline:
                return
            yield None
            self._context.rearm()
            started = time.perf_counter()

    def _leave(self, slot: Slot, prompt: int, run: Run) -> None:
        """Cut what was generated, and the token that asked for the middle: the next prompt has neither there."""
        if slot.owner is run and not self._closed:
            keep = prompt - (self._fim is not None and self._fim.middle >= 0)
            if len(slot.tokens) >= keep:
                self._slots.cut(slot, keep)
            self._slots.give(slot, run)

    def _done(self, number: int, run: Run, generation: Generation | None) -> Done:
        finishes = tuple(candidate.finish() for candidate in generation.candidates) if generation else ()
        if generation and not finishes:
            finishes = (Finish(why="deadline" if time.monotonic() > run.deadline else "stopped"),)
        return Done(id=number, finishes=finishes, model=self._file.id, timings=run.timings(generation), notes=tuple(run.notes), limits=self.limits())

    # ---- what is to be seen from outside

    def limits(self) -> dict[str, float]:
        """What prompts may hold, by field name of `providers.base.Limits`."""
        room = min(self._model.trained_context, self._context.size // 2) - 80
        return {"prefix_tokens": int(room * 0.7), "suffix_tokens": int(room * 0.3), "snippet_tokens": 0}

    def status(self) -> ModelStatus:
        """The model, its speed and its slots."""
        return ModelStatus(
            model=self._file.id,
            file_bytes=self._model.bytes,
            context=self._context.size,
            evaluate_per_second=self._evaluated / self._evaluate_seconds if self._evaluate_seconds else 0.0,
            generate_per_second=self._generated / self._generate_seconds if self._generate_seconds else 0.0,
            slots=tuple(SlotStatus(slot=slot.name, tokens=len(slot.tokens), moved=slot.moved) for slot in self._slots),
            plan=f"{self._plan.threads} threads, context {self._context.size}, batch {self._plan.batch}, layers on the GPU: {self._plan.gpu_layers}",
        )
