"""Measures a model where no model of ours was trained: exact rest-of-line completion on held-out files, through the engine's own runtime.

`python evaluate.py MODEL.gguf [--positions 400]`. Greedy, each position from nothing.
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
"""Characters of prefix and of suffix that are asked with, and of the longest rest of a line that is asked for."""
MAX_TOKENS = 28


class Position(NamedTuple):
    """A cursor in a held-out file, and the rest of its line, which the model is to find."""

    prefix: str
    suffix: str
    rest: str

    @property
    def at_word_start(self) -> bool:
        """Whether a word begins here: the easier half, since a small model has trouble with words half typed."""
        return not (self.prefix[-1].isalnum() or self.prefix[-1] == "_")


class Answers(NamedTuple):
    """What a model said at each position, and what it cost."""

    texts: list[str]
    milliseconds: list[float]

    def right(self, positions: list[Position]) -> set[int]:
        """The numbers of the positions whose rest of the line is found exactly."""
        return {number for number, (text, position) in enumerate(zip(self.texts, positions, strict=True)) if text.rstrip() == position.rest.rstrip()}

    def exact(self, positions: list[Position], *, word_starts: bool = False) -> float:
        """The share of them, of all positions or of those where a word begins."""
        asked = {number for number, position in enumerate(positions) if position.at_word_start or not word_starts}
        return len(self.right(positions) & asked) / len(asked)


def positions(texts: list[str], count: int, seed: int = 5) -> list[Position]:
    """Random cursors with something left to write on their line: the same for every model."""
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
    """Ask a model at every position."""
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
