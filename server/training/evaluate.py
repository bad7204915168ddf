"""Measures exact rest-of-line completion on held-out files, which none of the project's models was trained on, with the engine's runtime.

`python evaluate.py MODEL.gguf [--positions 400]`. Greedy decoding; each position starts with an empty KV cache.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from corpus import HELD, read_texts
from infill.ask import Stop
from infill.engine.protocol import Complete, Done, Text
from infill.engine.runtime import Runtime
from infill.models.fit import Plan
from infill.models.store import ModelFile

BEFORE, AFTER, LONGEST_REST = 2000, 600, 60
"""Maximum number of characters of the prefix | of the suffix | of the expected rest of a line."""
MAX_TOKENS = 28


class Position(NamedTuple):
    """A cursor in a held-out file, and the expected rest of its line."""

    prefix: str
    suffix: str
    rest: str

    @property
    def at_word_start(self) -> bool:
        """Whether the cursor is at the start of a word. Such positions are easier: small models are weak at half-typed words."""
        return not (self.prefix[-1].isalnum() or self.prefix[-1] == "_")


class Answers(NamedTuple):
    """A model's answer and its time at each position."""

    texts: list[str]
    milliseconds: list[float]

    def right(self, positions: list[Position]) -> set[int]:
        """The indexes of the positions whose answer is exactly the rest of the line."""
        return {number for number, (text, position) in enumerate(zip(self.texts, positions, strict=True)) if text.rstrip() == position.rest.rstrip()}

    def exact(self, positions: list[Position], *, word_starts: bool = False) -> float:
        """The share of right answers among all positions, or among those at word starts."""
        asked = {number for number, position in enumerate(positions) if position.at_word_start or not word_starts}
        return len(self.right(positions) & asked) / len(asked)


def positions(texts: list[str], count: int, seed: int = 5) -> list[Position]:
    """Random cursors before a rest of line that is not blank; the same for every model."""
    return [position for position, _ in zip(_positions(texts, random.Random(seed)), range(count), strict=False)]


def _positions(texts: list[str], rng: random.Random) -> Iterator[Position]:
    texts = [text for text in texts if len(text) > 400]
    while True:
        text = rng.choice(texts)
        start = rng.randrange(200, len(text))
        end = text.find("\n", start)
        if end >= 0 and text[start:end].strip() and end - start <= LONGEST_REST:
            yield Position(text[max(0, start - BEFORE) : start], text[end : end + AFTER], text[start:end])


def answer(model: Path, asked: list[Position], threads: int = 1) -> Answers:
    """A model's answers at all positions."""
    file = ModelFile(id=f"file:{model}", title=model.name, path=model.resolve())
    runtime = Runtime.load(file, Plan(threads=threads, threads_batch=threads, context=2048), lambda _: True)
    stop = Stop(max_tokens=MAX_TOKENS, single_line=True)
    texts, milliseconds = [], []
    try:
        for number, position in enumerate(asked):
            started = time.perf_counter()
            question = Complete(id=number, model=file.id, slot=f"position {number}", prefix=position.prefix, suffix=position.suffix, stop=stop)
            texts.append(_first_line(runtime, question))
            milliseconds.append((time.perf_counter() - started) * 1000)
            runtime.forget(question.slot)
    finally:
        runtime.close()
    return Answers(texts, milliseconds)


def _first_line(runtime: Runtime, question: Complete) -> str:
    pieces = [event.text for event in runtime.complete(question) if isinstance(event, Text) and not isinstance(event, Done)]
    return "".join(pieces).partition("\n")[0]


def report(name: str, answers: Answers, asked: list[Position]) -> None:
    starts = answers.exact(asked, word_starts=True)
    median = statistics.median(answers.milliseconds)
    print(f"{name}: exact rest of line {answers.exact(asked):.1%}, at word starts {starts:.1%}, median {median:.1f} ms, {len(asked)} positions")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--held", type=Path, default=HELD)
    parser.add_argument("--positions", type=int, default=400)
    parser.add_argument("--threads", type=int, default=1, help="more than the idle cores makes it far slower")
    parser.add_argument("--show", type=int, default=0, help="how many answers to print")
    a = parser.parse_args()
    asked = positions(read_texts(a.held), a.positions)
    answers = answer(a.model, asked, a.threads)
    report(a.model.name, answers, asked)
    for position, text in list(zip(asked, answers.texts, strict=True))[: a.show]:
        print(f"{position.prefix[-45:].rpartition(chr(10))[2]!r} | {text!r} | {position.rest!r}")


if __name__ == "__main__":
    main()
