"""What moving about in the cache costs over a long day: one document, edited at random hundreds of times, and after each edit the next token.

The engine's runtime is asked here in this process, with everything on, as the engine asks it; beside it the very same tokens are evaluated from
nothing. Two distributions over the whole vocabulary can be compared so, of which an answer over the wire shows a single token.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import msgspec
import numpy as np

from infill.ask import Stop
from infill.bench import traces
from infill.bench.targets import Row
from infill.bench.weights import Weights, home
from infill.engine import prompt_tokens
from infill.engine.llama import Context, Logits, Model
from infill.engine.protocol import Complete
from infill.engine.runtime import Runtime
from infill.engine.sampling import compatible
from infill.errors import InfillError
from infill.models.fit import Plan
from infill.models.store import locate

CHARACTERS, CURSOR = 1500, 700
"""Of the document at the start, and where its author stands."""
REST_EVERY = 8
"""After so many edits there is a pause, in which the engine does what it does when nobody asks."""
CONTEXT = 4096
DIVERGENCE = 0.005
"""Nats in the mean that the next token's distribution may be off."""
LINE = Stop(single_line=True, max_tokens=16)
SLOT = "edited"


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """One document of one model in one order of the prompt."""

    model: str
    order: str
    edits: int
    agreed: int
    """The token that an answer begins with was that of a fresh evaluation: the likeliest, of those that agree with a word that is half typed."""
    moves: int
    """Edits for which something in the cache was moved; behind the others all was evaluated that stands behind the change."""
    divergence: float
    """Kullback-Leibler, of the fresh distribution from the one with all of this on: in the mean, in nats."""
    divergence_most: float


def edited(text: str, cursor: int, dice: random.Random) -> tuple[str, int]:
    """One edit as people make them: mostly typing, some deleting, some jumps."""
    kind = dice.random()
    if kind < 0.6:
        start = dice.randrange(len(text) - 12)
        piece = text[start : start + dice.randrange(1, 12)]
        return text[:cursor] + piece + text[cursor:], cursor + len(piece)
    if kind < 0.75:
        back = min(cursor, dice.randrange(1, 10))
        return text[: cursor - back] + text[cursor:], cursor - back
    if kind < 0.85:
        return text, max(0, min(len(text), cursor + dice.randrange(-300, 300)))
    if kind < 0.92:
        return text[:cursor] + text[cursor + dice.randrange(1, 40) :], cursor
    place = text.find("\n", dice.randrange(len(text) // 2)) + 1
    return text[:place] + "\n" + text[place:], cursor + (place <= cursor)


def divergence(fresh: Logits, other: Logits) -> float:
    """Kullback-Leibler, in nats."""

    def logprobs(logits: Logits) -> Logits:
        shifted = logits.astype(np.float64) - logits.max()
        found: Logits = shifted - np.log(np.exp(shifted).sum())
        return found

    want, got = logprobs(fresh), logprobs(other)
    return float((np.exp(want) * (want - got)).sum())


def edits(measured: Weights, order: str, count: int, say: Callable[[str], None]) -> Edited:
    """Measure. Raises InfillError."""
    dice = random.Random(7)
    text, cursor = traces.default().text[:CHARACTERS], CURSOR
    divergences, agreed, moves = [], 0, 0
    with _loaded(measured) as (runtime, fresh):
        for number in range(count):
            if number % 100 == 0:
                say(f"{measured.name}, {order}: {number} of {count} edits ...")
            if number % REST_EVERY == 0:
                _rest(runtime)
            text, cursor = edited(text, cursor, dice)
            before = _moved(runtime)
            tokens, logits = _asked(runtime, text[:cursor], text[cursor:])
            wanted = fresh.logits(tokens)
            agreed += fresh.choice(logits, text[:cursor]) == fresh.choice(wanted, text[:cursor])
            moves += _moved(runtime) > before
            divergences.append(divergence(wanted, logits))
    return Edited(
        model=measured.name,
        order=order,
        edits=count,
        agreed=agreed,
        moves=moves,
        divergence=round(sum(divergences) / count, 6),
        divergence_most=round(max(divergences), 5),
    )


def rows(days: Sequence[Edited]) -> list[Row]:
    """The next token after each of many edits of one document."""
    found = []
    for one in days:
        what = f"after {one.edits} random edits of one document, {one.model}, {one.order}"
        found.append(
            Row(
                what=f"token that an answer begins with as when fresh, {what}",
                measured=round(100 * one.agreed / one.edits, 1),
                unit="%",
                target=98,
                at_least=True,
                note=f"{one.agreed} of {one.edits}; something was moved in {one.moves} of them",
            )
        )
        found.append(
            Row(
                what=f"divergence of the next token's distribution (Kullback-Leibler), mean, {what}",
                measured=one.divergence,
                unit="nats",
                target=DIVERGENCE,
                note=f"{one.divergence_most:.3g} nats at most",
            )
        )
    return found


class Fresh:
    """The same model once more, which knows nothing of what was evaluated before."""

    def __init__(self, model: Model, context: Context) -> None:
        self._model, self._context = model, context

    def logits(self, tokens: Sequence[int]) -> Logits:
        """What it thinks comes next."""
        step = self._context.largest_batch
        for start in range(0, len(tokens), step):
            self._context.decode(tokens[start : start + step], start, 0, 1)
        logits: Logits = self._context.logits(-1).copy()
        self._context.remove(0)
        return logits

    def choice(self, logits: Logits, prefix: str) -> int:
        """The token that an answer begins with, by the engine's rule: where a word is half typed, one that agrees with it."""
        owed = prompt_tokens.half_typed(self._model.tokenize(prefix), self._model.piece)
        options = compatible(logits, 1, owed, self._model.piece) if owed else []
        return options[0][0] if options else int(logits.argmax())


@contextmanager
def _loaded(measured: Weights) -> Iterator[tuple[Runtime, Fresh]]:
    """The runtime as the engine has it, and what it is compared with."""
    plan = Plan(context=CONTEXT)
    with (
        home(measured),
        closing(Runtime.load(locate(measured.model_id), plan, lambda _: True)) as runtime,
        closing(Model(measured.path, plan, lambda _: True)) as model,
        closing(Context(model, plan, 1)) as context,
    ):
        yield runtime, Fresh(model, context)


def _asked(runtime: Runtime, prefix: str, suffix: str) -> tuple[Sequence[int], Logits]:
    """Ask for a line; the prompt's tokens as they stand in the cache, and what the model thinks comes next."""
    for _ in runtime.complete(Complete(id=1, model="", slot=SLOT, prefix=prefix, suffix=suffix, stop=LINE)):
        pass
    known = runtime.known(SLOT)
    if known is None:
        raise InfillError("The engine does not know what follows a prompt that it has just answered.")
    return known


def _rest(runtime: Runtime) -> None:
    while (work := runtime.idle_work()) is not None:
        for _ in work:
            pass


def _moved(runtime: Runtime) -> int:
    return next((slot.moved for slot in runtime.status().slots if slot.slot == SLOT), 0)
