"""Definitions benchmark: whether definitions from the index improve answers. Holes are in lines that use a name defined in another file.

The cursor is before such a name or after its opening parenthesis; the right answer is the author's rest of the line. The folder is indexed first.
Each hole gets two greedy requests that differ only in the snippets, each in an empty slot.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from infill.ask import Sampling, Snippet, Stop
from infill.bench.drive import Driven, engine
from infill.bench.targets import Row
from infill.bench.weights import Weights
from infill.engine.protocol import Complete, Text
from infill.errors import InfillError
from infill.index.build import Limits, build
from infill.index.lookup import Definition, definitions, language_of
from infill.index.queue import Job
from infill.index.uses import IMPORT, uses
from infill.settings import Engine

PREFIX, SUFFIX, BUDGET = 1500, 600, 1200
"""Characters."""
TOKENS = 32
_CALL = re.compile(r"(?<![\w.])([A-Za-z_]\w{2,})\(")


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """A cursor, the author's text after it, and the definitions from the index."""

    path: str
    before: str
    written: str
    after: str
    found: tuple[Snippet, ...]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one model for all holes."""

    model: str
    holes: int
    exact_without: int
    exact_with: int
    """Number of first lines equal to the author's."""
    begin_without: float
    begin_with: float
    """Mean number of characters that match the author's text from the cursor on."""


def holes(folder: Path, wanted: int, seed: int) -> list[Hole]:
    """Up to `wanted` holes. The folder's index is built in a temporary state folder. Raises InfillError if there are none."""
    with own_home():
        return _holes(folder, wanted, seed)


@contextlib.contextmanager
def own_home() -> Iterator[None]:
    """A temporary state folder."""
    before = os.environ.get("INFILL_HOME")
    with tempfile.TemporaryDirectory(prefix="infill-bench-") as folder:
        os.environ["INFILL_HOME"] = folder
        try:
            yield
        finally:
            os.environ.pop("INFILL_HOME")
            if before is not None:
                os.environ["INFILL_HOME"] = before


def _holes(folder: Path, wanted: int, seed: int) -> list[Hole]:
    build(Job(folder=str(folder), rebuild=True), limits=Limits(free=0))
    dice = random.Random(seed)
    files = sorted(folder.rglob("*.py"))
    dice.shuffle(files)
    found: list[Hole] = []
    for file in files:
        if len(found) >= wanted:
            break
        path = file.relative_to(folder).as_posix()
        text = file.read_text("utf-8", errors="replace")
        places = list(_places(text))
        dice.shuffle(places)
        kept = [hole for cursor, name in places[:12] if (hole := _hole(folder, path, text, cursor, name)) is not None]
        found += kept[:2]
    if not found:
        raise InfillError(f"No line in {folder} uses a name that another file of it defines.", "Name a folder of Python sources.")
    return found[:wanted]


def _places(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.splitlines(keepends=True):
        for call in _CALL.finditer(line) if not IMPORT.match(line) else ():
            if line[: call.start()].strip() and not line.lstrip().startswith(("def ", "class ", "#", '"')):
                yield start + call.start(), call[1]
                yield start + call.end(), call[1]
        start += len(line)


def _hole(folder: Path, path: str, text: str, cursor: int, name: str) -> Hole | None:
    end = text.find("\n", cursor)
    before, written, after = text[:cursor], text[cursor:end], text[end:]
    known = definitions(folder, uses(before + name), path, language_of(path))
    if end < 0 or len(written.strip()) < 3 or name not in {one.name for one in known}:
        return None
    found = definitions(folder, uses(before), path, language_of(path))
    return Hole(path=path, before=before, written=written.rstrip(), after=after, found=_snippets(found)) if found else None


def _snippets(found: list[Definition]) -> tuple[Snippet, ...]:
    """As many snippets as the budget allows. The most probable one is last, next to the code."""
    chosen: list[Snippet] = []
    room = BUDGET
    for one in found:
        room -= len(one.text) + len(one.path) + 2
        if room >= 0:
            chosen.append(Snippet(one.path, one.text))
    return tuple(reversed(chosen))


async def measure(model: Weights, asked: list[Hole], say: Callable[[str], None]) -> Figures:
    """Complete each hole with and without definitions."""
    exact, begin = [0, 0], [0.0, 0.0]
    async with engine(model, Engine()) as driven:
        for number, hole in enumerate(asked):
            for side, snippets in enumerate(((), hole.found)):
                line = await _line(driven, hole, snippets, f"{number}-{side}")
                exact[side] += line == hole.written
                begin[side] += _agree(line, hole.written) / len(asked)
            if number % 5 == 4:
                say(f"{model.name}: {number + 1} of {len(asked)} holes; exact {exact[0]} without, {exact[1]} with definitions")
    return Figures(
        model=model.name,
        holes=len(asked),
        exact_without=exact[0],
        exact_with=exact[1],
        begin_without=round(begin[0], 2),
        begin_with=round(begin[1], 2),
    )


async def _line(driven: Driven, hole: Hole, snippets: tuple[Snippet, ...], slot: str) -> str:
    text = ""
    stop = Stop(max_tokens=TOKENS, single_line=True, deadline_ms=300_000)
    prefix, suffix = hole.before[-PREFIX:], hole.after[:SUFFIX]
    question = Complete(
        id=0,
        model=driven.model,
        slot=slot,
        prefix=prefix,
        suffix=suffix,
        path=hole.path,
        snippets=snippets,
        sampling=Sampling(),
        stop=stop,
        priority="invoked",
    )
    async for frame in driven.client.complete(question):
        if isinstance(frame, Text):
            text += frame.text
    driven.client.forget(slot)
    return text.partition("\n")[0].rstrip()


def rows(figures: Figures) -> list[Row]:
    """The difference, compared with the minimum at which definitions are used."""
    points = 100 * (figures.exact_with - figures.exact_without) / figures.holes
    note = f"exact first lines: {figures.exact_with} with and {figures.exact_without} without definitions, of {figures.holes}"
    note += f"; characters that agree: {figures.begin_with} and {figures.begin_without} in the mean"
    return [Row(what=f"gain by definitions, {figures.model}", measured=round(points, 1), unit="points", target=5, at_least=True, note=note)]


def _agree(one: str, other: str) -> int:
    return next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), min(len(one), len(other)))
