"""One loaded model: runs the requests that the engine's queue selects, one step at a time, all on the inference thread.

Each of `complete`, `warm`, `generate` and `rewrite` is a generator. A step does at most one chunk (a part of the prompt, or a few tokens).
Between two steps the queue may run another request, close the generator, or continue it. Only `abort` may be called from another thread.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from infill import continuation
from infill.ask import Finish, Sampling, Stop, Timings
from infill.engine import kv, prompt_tokens, saved
from infill.engine.decoding import Generation
from infill.engine.drafts import Lookup, Policy
from infill.engine.llama import Context, LoadStopped, Logits, Model
from infill.engine.prompt_tokens import Fim, Parts
from infill.engine.protocol import Complete, Done, Generate, ModelStatus, Rewrite, SlotStatus, Text, Warm
from infill.engine.sampling import JUDGED
from infill.engine.slots import SEQUENCES, Slot, Slots
from infill.engine.speed import FIRST_BATCH, SLOW_TOKEN, TARGET_MS, Speed
from infill.engine.tokenizer import Remembered, Tokenizer, joins_indentation
from infill.errors import NotAChatModel, ProviderRefused
from infill.models import fit
from infill.models.fit import Plan
from infill.models.store import ModelFile

__all__ = ["LoadStopped", "Runtime"]

SLACK = 1.25
"""How far a prompt may exceed the window before it is cut: clients count characters, which is seldom exact."""
SHARES = {"prefix_tokens": 0.7, "suffix_tokens": 0.3, "snippet_tokens": 0.0}
SHARES_WITH_SNIPPETS = {"prefix_tokens": 0.55, "suffix_tokens": 0.25, "snippet_tokens": 0.2}
"""Shares of the window. A model with a short training context was not trained with snippets."""
SHARES_CONTINUING = {"prefix_tokens": 0.95, "suffix_tokens": 0.1, "snippet_tokens": 0.0}
SHARES_CONTINUING_WITH_SNIPPETS = {"prefix_tokens": 0.75, "suffix_tokens": 0.1, "snippet_tokens": 0.2}
"""A suffix that is not evaluated needs only its first lines."""
LONG_CONTEXT = 4096
REWRITTEN = 96
"""Tokens of a next edit whose probability is computed: enough for a few rewritten lines."""


class Prompt(msgspec.Struct, frozen=True):
    """The content that a slot should have."""

    slot: str
    tokens: list[int]
    suffix: Sequence[int] = ()
    owed: bytes = b""
    """Text before the cursor that is left out of the tokens; the answer begins with it."""
    below: str = ""
    """The line before which the answer ends, for a model that does not see the suffix."""
    dividers: frozenset[int] = frozenset()
    """Further control tokens that divide the prompt, besides those of fill-in-the-middle: no draft extends over them."""
    judged: int = JUDGED
    """Number of tokens of the answer whose probability is computed."""


class Run:
    """Statistics of one request: its timings and the notes for `infill.explain`."""

    def __init__(self, deadline_ms: float) -> None:
        self.started = time.monotonic()
        self.deadline = self.started + deadline_ms / 1000
        self.notes: list[str] = []
        self.kept = self.evaluated = 0
        self.evaluate_seconds = self.first_token = self.first_line = 0.0

    def timings(self, generation: Generation | None) -> Timings:
        return Timings(
            total_ms=(time.monotonic() - self.started) * 1000,
            first_token_ms=self.first_token * 1000,
            evaluate_ms=self.evaluate_seconds * 1000,
            generate_ms=generation.seconds * 1000 if generation else 0.0,
            tokens_evaluated=self.evaluated,
            tokens_kept=self.kept,
            tokens_generated=_tokens(generation) if generation else 0,
            tokens_drafted=generation.drafted if generation else 0,
            tokens_accepted=generation.accepted if generation else 0,
        )

    def saw(self, text: str) -> None:
        """Record the times of the first token and of the first complete line."""
        now = time.monotonic() - self.started
        self.first_token = self.first_token or now
        if "\n" in text:
            self.first_line = self.first_line or now


def _tokens(generation: Generation) -> int:
    return sum(len(candidate.tokens) for candidate in generation.candidates)


class Runtime:
    """A model, its context and its slots."""

    def __init__(self, file: ModelFile, plan: Plan, model: Model) -> None:
        self._file, self._plan, self._model = file, plan, model
        self._context = Context(model, plan, SEQUENCES)
        self._slots = Slots(self._context)
        self._closed = False
        self._fim: Fim | None = None
        self._tokenize = Tokenizer(model.tokenize)
        self._joins = joins_indentation(model.tokenize, model.piece)
        self._chat_tokens = Remembered(model.tokenize)
        self._speed = Speed()
        self._slots.chunk = lambda restless: self._speed.chunk(self._context.largest_batch, restless=restless)
        self._drafting = Policy()
        self._generated = 0
        self._temperature = file.temperature
        self.target_ms = TARGET_MS
        """`latency.target` of the clients."""

    @classmethod
    def load(cls, model: ModelFile, plan: Plan, progress: Callable[[float], bool], announce: Callable[[], None] = lambda: None) -> Runtime:
        """Load a model; slow.

        `progress` gets 0 to 1 and returns False to stop. `announce` is called when the model begins to compute. Raises BadModelFile, DoesNotFit,
        or LoadStopped (a stop was requested: an outcome, not an error).
        """
        weights = Model(model.path, plan, progress)
        try:
            runtime = cls(model, plan, weights)
            runtime._context.announce = announce
            runtime._measure()
            return runtime
        except BaseException:
            weights.close()
            raise

    def _measure(self) -> None:
        """Measure a first speed. The first token is not counted, because it reads the weights from disk."""
        self._context.try_out(1)
        tokens, seconds = 1, self._context.try_out(1)
        if seconds < SLOW_TOKEN:
            tokens, seconds = FIRST_BATCH, self._context.try_out(FIRST_BATCH)
        self._speed.began(tokens, seconds)

    def close(self) -> None:
        """Free all memory. Open generators end at their next step."""
        self._closed = True
        self._context.close()
        self._model.close()

    # ---- requests

    def complete(self, ask: Complete) -> Iterator[Text | Done | None]:
        """Fill in the middle; a model without the tokens for it continues the prefix."""
        run = Run(ask.stop.deadline_ms)
        longest = min(ask.stop.max_tokens, self._room // 4)  # a long answer must leave room for the prompt
        prompt = self._prompt(ask, longest, run)
        one_line = not self._fim_tokens().fills and continuation.is_one_line(ask.suffix)
        most = min(ask.stop.max_tokens, self._room - len(prompt.tokens))
        stop = msgspec.structs.replace(ask.stop, max_tokens=most, single_line=ask.stop.single_line or one_line)
        return self._answer(ask.id, prompt, ask.sampling, stop, ask.candidates, ask.speculate, run)

    def generate(self, ask: Generate) -> Iterator[Text | Done | None]:
        """Answer a conversation through the model's own chat template. Raises NotAChatModel or BadChatTemplate."""
        if not self._model.chat_template:
            message = f"{self._file.title} is a base model: it has no chat template and does not follow instructions."
            raise NotAChatModel(message, "Choose an instruct model.")
        run = Run(ask.stop.deadline_ms)
        render = functools.partial(self._model.render_chat, thinking=ask.thinking)
        chat = yield from prompt_tokens.chat(ask.messages, render, self._chat_tokens, self._model.special("bos") if self._model.adds_bos else -1)
        tokens = chat.tokens
        if len(tokens) + min(ask.stop.max_tokens, 64) > self._room:
            raise ProviderRefused(
                f"The instruction takes {len(tokens)} tokens, and {self._file.title} has room for {self._room}.", "Select less code."
            )
        stop = msgspec.structs.replace(ask.stop, max_tokens=min(ask.stop.max_tokens, self._room - len(tokens)))
        if chat.opened:  # the template wrote the opening tag of the answer's reasoning
            yield Text(id=ask.id, text=chat.opened)
        yield from self._answer(ask.id, Prompt(ask.slot, tokens, judged=0), ask.sampling, stop, 1, ask.speculate, run)

    def rewrite(self, ask: Rewrite) -> Iterator[Text | Done | None]:
        """Answer a prompt in the model's own format. Raises ProviderRefused if it does not fit."""
        run = Run(ask.stop.deadline_ms)
        bos = self._model.special("bos") if self._model.adds_bos else -1
        tokens, dividers = prompt_tokens.pieces(ask.pieces, self._tokenize, self._tokenize.after, self._chat_tokens, bos)
        if len(tokens) + min(ask.stop.max_tokens, 64) > self._room:
            raise ProviderRefused(f"The next edit needs a prompt of {len(tokens)} tokens; {self._file.title} has room for {self._room}.")
        stop = msgspec.structs.replace(ask.stop, max_tokens=min(ask.stop.max_tokens, self._room - len(tokens)))
        return self._answer(ask.id, Prompt(ask.slot, tokens, dividers=dividers, judged=REWRITTEN), ask.sampling, stop, 1, ask.speculate, run)

    def warm(self, ask: Warm) -> Iterator[Done | None]:
        """Evaluate a prompt in advance."""
        run = Run(float("inf"))
        prompt = self._prompt(ask, Stop().max_tokens, run)
        slot = self._slots.take(ask.slot, run)
        try:
            yield from self._place(slot, prompt, run)
            if slot.owner is run and slot.tokens == prompt.tokens:
                self._remember(slot)
            yield self._done(ask.id, run, None)
        finally:
            self._leave(slot, prompt, run)

    def idle_work(self) -> Iterator[None] | None:
        """Evaluate moved tokens again, if they were moved many times or are few; None if there are none."""
        slot = self._slots.worn(self._speed.soon)
        return None if slot is None else self._refresh(slot)

    def abort(self) -> None:
        """End the running step soon (thread-safe): it yields None, and its generator can be closed or continued."""
        self._context.abort()

    def forget(self, slot: str) -> None:
        """A document was closed."""
        self._slots.forget(slot)

    def known(self, slot: str) -> tuple[Sequence[int], Logits] | None:
        """A document's tokens in the cache and the logits after them; None if those are not known."""
        found = next((one for one in self._slots if one.name == slot), None)
        return None if found is None or found.logits is None else (tuple(found.tokens), found.logits)

    def save_slots(self, folder: Path) -> None:
        """Write evaluated documents to disk, for a warm start. Never raises: a failure only costs speed."""
        saved.save(folder, self._file, self._context, self._slots)

    def restore_slots(self, folder: Path) -> None:
        """Read what `save_slots` wrote, if it is from the same model. Never raises."""
        saved.restore(folder, self._file, self._context, self._slots)

    # ---- prompts

    @property
    def _room(self) -> int:
        """Maximum number of tokens of a prompt and its answer together."""
        return min(self._model.trained_context, self._context.size)

    def _window(self) -> int:
        """Tokens of a prompt: limited by the speed of this machine, and by the room that several documents need."""
        return self._speed.window(min(self._room, max(self._context.size // 4, 1024)), self.target_ms)

    def _fim_tokens(self) -> Fim:
        if self._fim is None:
            self._fim = prompt_tokens.fim_of(self._model, self._file.fim_order)
        return self._fim

    def _prompt(self, ask: Complete | Warm, answer: int, run: Run) -> Prompt:
        """The prompt's tokens, cut to the budget."""
        fim, tokenize = self._fim_tokens(), self._tokenize
        suffix = ask.suffix if fim.fills else ""
        header = self._header(fim, ask, run)
        before = tokenize.after(ask.prefix) if header else tokenize(ask.prefix)
        if owed := prompt_tokens.half_typed(before, self._model.piece, self._joins):
            before.pop()
        parts = Parts(prefix=before, suffix=tokenize.after(suffix), header=header)
        self._speed.read(len(ask.prefix) + len(suffix), len(parts.prefix) + len(parts.suffix))
        window = self._window()
        fits = len(parts.prefix) + len(parts.suffix) + len(header) <= window * SLACK
        room = min(self._room - answer, int(window * SLACK) if fits else window) - prompt_tokens.overhead(fim)
        previous = next((slot.suffix for slot in self._slots if slot.name == ask.slot), ())
        parts, notes = prompt_tokens.fit(parts, prompt_tokens.budget(room), previous)
        run.notes += notes
        if fim.fills:
            return Prompt(ask.slot, prompt_tokens.join(fim, parts), parts.suffix, owed)
        run.notes.append(continuation.NOTE)
        # an empty document without a path has no tokens, but an evaluation needs at least one
        return Prompt(ask.slot, prompt_tokens.join(fim, parts) or tokenize("\n"), (), owed, continuation.line_below(ask.suffix))

    def _header(self, fim: Fim, ask: Complete | Warm, run: Run) -> list[int]:
        snippets = ask.snippets if self._takes_snippets else ()
        header = prompt_tokens.header(fim, snippets, ask.path, self._tokenize)
        if ask.snippets and not snippets:
            run.notes.append("context from other files left out: this model was not trained on any")
        elif snippets and not header:
            run.notes.append("context from other files left out: the comments of this kind of file are not known")
        return header

    @property
    def _takes_snippets(self) -> bool:
        fim = self._fim_tokens()
        return self._model.trained_context >= LONG_CONTEXT and (fim.separator >= 0 or not fim.fills)

    # ---- evaluation

    def _answer(
        self, number: int, prompt: Prompt, sampling: Sampling, stop: Stop, count: int, speculate: bool, run: Run
    ) -> Iterator[Text | Done | None]:
        slot = self._slots.take(prompt.slot, run)
        generation = Generation(self._context, self._model, sampling, stop, run.deadline, prompt.judged)
        if speculate and count == 1 and sampling.temperature <= 0:
            generation.draft_from(lambda: Lookup(prompt.tokens, self._dividers() | prompt.dividers), self._drafting)
        generation.owe(prompt.owed)
        generation.end_before(prompt.below)
        branches = self._slots.branches()
        try:
            yield from self._place(slot, prompt, run, known_serves=sampling.temperature <= 0)
            if slot.owner is run and slot.tokens == prompt.tokens:
                self._remember(slot)
                for pieces in generation.run(slot.sequence, len(prompt.tokens), count, branches.take, slot.logits):
                    for candidate, text in pieces:
                        run.saw(text)
                        yield Text(id=number, text=text, candidate=candidate, logprob=generation.candidates[candidate].logprob / self._temperature)
                    if not pieces:
                        yield None
                    self._context.rearm()
                    if slot.owner is not run:
                        break
            generation.close()
            self._learn(generation, run)
            yield self._done(number, run, generation)
        finally:
            generation.close()
            self._generated += _tokens(generation)
            branches.give_back()
            self._leave(slot, prompt, run)

    def _dividers(self) -> set[int]:
        fim = self._fim
        return set() if fim is None else {fim.prefix, fim.suffix, fim.middle, fim.separator}

    def _place(self, slot: Slot, prompt: Prompt, run: Run, known_serves: bool = True) -> Iterator[None]:
        """Make the slot hold the prompt, one chunk per step. Ends early at the deadline, or when another request takes the slot."""
        slot.suffix = prompt.suffix
        if slot.logits is not None and known_serves and slot.tokens == prompt.tokens:
            run.kept = len(prompt.tokens)
            self._slots.cut(slot, run.kept)  # a request that lost the slot may have generated after the prompt
            run.notes.append(f"cache: all {run.kept} tokens kept")
            return
        self._context.rearm()
        can_shift, costs = self._context.can_shift, self._speed.costs(self.target_ms)
        if borrowed := self._slots.borrow(slot, prompt.tokens, can_shift, costs):
            run.notes.append(f"cache: {borrowed}")
        layout = kv.arrange(slot.tokens, prompt.tokens, can_shift, costs)
        run.kept = layout.kept
        yield from self._fill(slot, prompt, layout, run)
        run.notes.append(f"cache: {layout.kept} tokens kept ({layout.moved} of them moved), {run.evaluated} evaluated")
        if not can_shift:
            run.notes.append("this model's memory cannot be moved: only what is the same from the start of the prompt is kept")

    def _remember(self, slot: Slot) -> None:
        """Keep the logits after the prompt: while a word is typed the prompt stays the same, and needs no evaluation."""
        if slot.logits is None:
            slot.logits = self._context.logits(-1).copy()

    def _fill(self, slot: Slot, prompt: Prompt, layout: kv.Layout, run: Run) -> Iterator[None]:
        started = time.perf_counter()
        for did in self._slots.fill(slot, prompt.tokens, layout):
            took = time.perf_counter() - started
            run.evaluated += did.tokens
            run.evaluate_seconds += took
            (self._speed.shifted if did.shifted else self._speed.evaluated)(did.tokens, took)
            if len(slot.tokens) < len(prompt.tokens):
                if time.monotonic() > run.deadline:
                    return
                yield None
                self._context.rearm()
            started = time.perf_counter()

    def _refresh(self, slot: Slot) -> Iterator[None]:
        self._context.rearm()
        for _ in self._slots.refresh(slot):
            yield
            self._context.rearm()

    def _leave(self, slot: Slot, prompt: Prompt, run: Run) -> None:
        """Remove the generated tokens: the next prompt does not have them at that position."""
        if slot.owner is run and not self._closed:
            if len(slot.tokens) >= len(prompt.tokens):
                self._slots.cut(slot, len(prompt.tokens))
            self._slots.give(slot, run)

    def _learn(self, generation: Generation, run: Run) -> None:
        if len(generation.candidates) == 1 and not generation.drafted:
            self._speed.generated(generation.evaluated, generation.seconds)
        if generation.candidates:
            self._speed.answered((run.first_line or time.monotonic() - run.started) * 1000)

    def _done(self, number: int, run: Run, generation: Generation | None) -> Done:
        finishes = tuple(self._calibrated(candidate.finish()) for candidate in generation.candidates) if generation else ()
        if generation and not finishes:
            finishes = (Finish(why="deadline" if time.monotonic() > run.deadline else "stopped"),)
        return Done(id=number, finishes=finishes, model=self._file.id, timings=run.timings(generation), notes=tuple(run.notes), limits=self.limits())

    def _calibrated(self, finish: Finish) -> Finish:
        return finish if finish.logprob is None else msgspec.structs.replace(finish, logprob=finish.logprob / self._temperature)

    # ---- status

    def limits(self) -> dict[str, float]:
        """Room for prompts and speed of answers, by field name of `providers.base.Limits`."""
        fim = self._fim
        window = min(self._window(), self._room - Stop().max_tokens) - 8
        snippets = fim is not None and self._takes_snippets
        shares = SHARES_WITH_SNIPPETS if snippets else SHARES
        if fim is not None and not fim.fills:
            shares = SHARES_CONTINUING_WITH_SNIPPETS if snippets else SHARES_CONTINUING
        limits: dict[str, float] = {name: int(window * share) for name, share in shares.items()}
        if self._speed.chars_per_token:
            limits["chars_per_token"] = self._speed.chars_per_token
        if self._speed.typical_ms:
            limits["typical_ms"] = self._speed.typical_ms
        return limits

    def status(self) -> ModelStatus:
        """The model, its speed and its slots."""
        return ModelStatus(
            model=self._file.id,
            file_bytes=self._model.bytes,
            context=self._context.size,
            evaluate_per_second=self._speed.evaluate,
            generate_per_second=self._speed.generate,
            tokens_evaluated=self._slots.evaluated,
            tokens_generated=self._generated,
            slots=tuple(SlotStatus(slot=slot.name, tokens=len(slot.tokens), moved=slot.moved) for slot in self._slots),
            plan=fit.describe(msgspec.structs.replace(self._plan, context=self._context.size)),
            restricted=self._plan.restricted,
        )
