"""Accuracy of the KV cache after many moves: the next token after each of hundreds of random edits of one document.

The engine's runtime is used in this process with all features on, as in the engine. The same tokens are also evaluated with an empty cache.
This allows comparing two distributions over the whole vocabulary; a reply of the engine process contains only a single token.
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
"""Characters of the document at the start, and the cursor's offset."""
REST_EVERY = 8
"""Number of edits between pauses, in which the engine runs its background work."""
CONTEXT = 4096
DIVERGENCE = 0.005
"""Maximum mean divergence of the next token's distribution, in nats."""
LINE = Stop(single_line=True, max_tokens=16)
SLOT = "edited"


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one model and one order of the prompt."""

    model: str
    order: str
    edits: int
    agreed: int
    """Edits after which the first token equals that of a fresh evaluation: the most probable token that matches a half-typed word."""
    moves: int
    """Edits for which part of the cache was moved; for the others everything after the change was evaluated."""
    divergence: float
    """Mean Kullback-Leibler divergence in nats: the fresh distribution from the one with the cache."""
    divergence_most: float


def edited(text: str, cursor: int, dice: random.Random) -> tuple[str, int]:
    """One random edit: mostly typing, some deletions, some jumps."""
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
    """Kullback-Leibler divergence in nats."""

    def logprobs(logits: Logits) -> Logits:
        shifted = logits.astype(np.float64) - logits.max()
        found: Logits = shifted - np.log(np.exp(shifted).sum())
        return found

    want, got = logprobs(fresh), logprobs(other)
    return float((np.exp(want) * (want - got)).sum())


def edits(measured: Weights, order: str, count: int, say: Callable[[str], None]) -> Edited:
    """Run the benchmark. Raises InfillError."""
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
    """The agreement of the next token after many edits of one document, compared with its target."""
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
    """A second instance of the same model, always with an empty cache."""

    def __init__(self, model: Model, context: Context) -> None:
        self._model, self._context = model, context

    def logits(self, tokens: Sequence[int]) -> Logits:
        """The logits of the next token."""
        step = self._context.largest_batch
        for start in range(0, len(tokens), step):
            self._context.decode(tokens[start : start + step], start, 0, 1)
        logits: Logits = self._context.logits(-1).copy()
        self._context.remove(0)
        return logits

    def choice(self, logits: Logits, prefix: str) -> int:
        """The first token of an answer by the engine's rule: after a half-typed word, a token that matches it."""
        owed = prompt_tokens.half_typed(self._model.tokenize(prefix), self._model.piece)
        options = compatible(logits, 1, owed, self._model.piece) if owed else []
        return options[0][0] if options else int(logits.argmax())


@contextmanager
def _loaded(measured: Weights) -> Iterator[tuple[Runtime, Fresh]]:
    """The runtime as in the engine, and the fresh instance for comparison."""
    plan = Plan(context=CONTEXT)
    with (
        home(measured),
        closing(Runtime.load(locate(measured.model_id), plan, lambda _: True)) as runtime,
        closing(Model(measured.path, plan, lambda _: True)) as model,
        closing(Context(model, plan, 1)) as context,
    ):
        yield runtime, Fresh(model, context)


def _asked(runtime: Runtime, prefix: str, suffix: str) -> tuple[Sequence[int], Logits]:
    """Request a line; returns the prompt's tokens in the order of the cache, and the logits of the next token."""
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
