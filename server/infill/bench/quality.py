"""Quality with a moved KV cache, compared with a fresh evaluation of the same prompt. Uses the engine directly.

Each position is requested twice: after typing the characters before it one by one into a cached document, with all features on, and in an empty
slot. The two first lines are compared with each other and with the author's text.
"""

from __future__ import annotations

import lzma
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from infill.bench.drive import Asked, Driven, engine
from infill.bench.targets import Row
from infill.bench.weights import Weights
from infill.engine.check_places import own_sources
from infill.errors import InfillError
from infill.settings import Engine

TYPED_BEFORE = 24
"""Characters typed one by one before a position."""
LINE_TOKENS = 40
PREFIX_CHARACTERS, SUFFIX_CHARACTERS = 6000, 2500
"""More than the engine's window, so that it has to trim."""


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """The result over all positions for one model and one order of the prompt."""

    model: str
    order: str
    positions: int
    same: int
    """Positions with the same first line on both sides."""
    right_fresh: int
    right_moved: int
    """Positions whose first line equals the author's, with the moved cache."""
    logprob_difference: float
    """Mean absolute difference of the first token's log-probability."""
    evaluated_per_key: float

    @property
    def same_share(self) -> float:
        return self.same / self.positions if self.positions else 0.0

    @property
    def points_lost(self) -> float:
        return 100 * (self.right_fresh - self.right_moved) / self.positions if self.positions else 0.0


async def quality(measured: Weights, order: str, texts: Sequence[str], positions: int, say: Callable[[str], None]) -> Quality:
    """Measure. `order` is the order of the prompt: the file's own, or prefix-suffix-middle (`psm`)."""
    dice = random.Random(7)
    same = right_fresh = right_moved = evaluated = keys = 0
    differences = []
    chosen = [_position(dice, texts) for _ in range(positions)]
    async with engine(measured, Engine()) as driven:
        for number, (text, cursor) in enumerate(chosen):
            if number % 50 == 0:
                say(f"{measured.name}, {order}: {number} of {positions} positions ...")
            moved, spent = await _typed(driven, text, cursor, f"typed-{number}")
            fresh = await _ask(driven, text, cursor, f"fresh-{number}", LINE_TOKENS)
            for slot in (f"typed-{number}", f"fresh-{number}"):
                driven.client.forget(slot)
            truth = text[cursor:].partition("\n")[0].rstrip()
            lines = [one.text.partition("\n")[0].rstrip() for one in (moved, fresh)]
            same += lines[0] == lines[1]
            right_moved += lines[0] == truth
            right_fresh += lines[1] == truth
            evaluated, keys = evaluated + spent, keys + TYPED_BEFORE
            differences.append(abs(_first_logprob(moved) - _first_logprob(fresh)))
    return Quality(
        model=measured.name,
        order=order,
        positions=positions,
        same=same,
        right_fresh=right_fresh,
        right_moved=right_moved,
        logprob_difference=round(sum(differences) / len(differences), 5),
        evaluated_per_key=round(evaluated / keys, 2),
    )


def rows(qualities: Sequence[Quality]) -> list[Row]:
    """The quality lost by moving the cache, compared with its targets."""
    found = []
    for one in qualities:
        note = f"exact first lines: {one.right_moved} and fresh {one.right_fresh} of {one.positions}"
        found.append(Row(what=f"quality lost, {one.model}, {one.order}", measured=round(one.points_lost, 2), unit="points", target=1, note=note))
        note = f"{one.same} of {one.positions}; first token's log-probability differs by {one.logprob_difference:.4f} in the mean"
        found.append(
            Row(
                what=f"greedy first lines as when fresh, {one.model}, {one.order}",
                measured=round(100 * one.same_share, 1),
                unit="%",
                target=98,
                at_least=True,
                note=note,
            )
        )
    return found


def held_out(file: Path | None) -> list[str]:
    """Texts that are not in the bundled model's training data: a JSON list (also as `.xz`), or this project's sources."""
    if file is not None:
        try:
            content = lzma.decompress(file.read_bytes()) if file.suffix == ".xz" else file.read_bytes()
            return [text for text in msgspec.json.decode(content, type=list[str]) if len(text) > 2 * TYPED_BEFORE]
        except (msgspec.MsgspecError, lzma.LZMAError) as exc:
            raise InfillError(f"{file} is not a JSON list of texts: {exc}.") from exc
    return own_sources()


def _position(dice: random.Random, texts: Sequence[str]) -> tuple[str, int]:
    """A position after white space or punctuation, before the end of its line, where users typically read suggestions."""
    while True:
        text = dice.choice(texts)
        cursor = dice.randrange(TYPED_BEFORE + 1, len(text) - 1) if len(text) > TYPED_BEFORE + 2 else 0
        if cursor and not text[cursor - 1].isalnum() and text[cursor:].partition("\n")[0].strip():
            return text, cursor


async def _typed(driven: Driven, text: str, cursor: int, slot: str) -> tuple[Asked, int]:
    """Type up to the position key by key, without the rest of the line. Returns the answer and the prompt tokens evaluated meanwhile."""
    start = cursor - TYPED_BEFORE
    await _ask(driven, text, start, slot, 1, until=cursor)
    spent = 0
    for at in range(start + 1, cursor):
        spent += (await _ask(driven, text, at, slot, 1, until=cursor)).done.timings.tokens_evaluated
    asked = await _ask(driven, text, cursor, slot, LINE_TOKENS)
    return asked, spent + asked.done.timings.tokens_evaluated


async def _ask(driven: Driven, text: str, at: int, slot: str, tokens: int, until: int = 0) -> Asked:
    """The answer at `at`, without the text from there to the end of the line at `until`."""
    rest = text[max(at, until) :]
    suffix = rest[rest.find("\n") :] if "\n" in rest else ""
    return await driven.ask(
        text[:at][-PREFIX_CHARACTERS:], suffix[:SUFFIX_CHARACTERS], slot=slot, tokens=tokens, single_line=tokens > 1, ignore_end=False, speculate=True
    )


def _first_logprob(asked: Asked) -> float:
    return asked.done.finishes[0].first_logprob if asked.done.finishes else 0.0
