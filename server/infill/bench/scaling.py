"""`infill bench scaling`: cost of a keystroke by file size, window size, number of editors and model. Medians without targets."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence

import msgspec

from infill.bench import figures, traces
from infill.bench.document import Document
from infill.bench.drive import Driven, engine
from infill.bench.ours import InfillEditor, settings_for
from infill.bench.recorder import Recorder
from infill.bench.speed import shuffled
from infill.bench.weights import Weights, home, weights
from infill.errors import InfillError
from infill.settings import Engine

Say = Callable[[str], None]
FILE_LINES = (100, 600, 3000, 20_000)
WINDOW_CHARACTERS = (1000, 2000, 4000, 8000)
EDITORS = (1, 2, 5)
KEYS = 12
SUFFIX_SHARE = 4
"""One of this many characters of the window is after the cursor."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """One point of a curve."""

    grows_with: str
    at: str
    key_ms: float
    """From a key to the first token, or to ghost text if measured through an editor."""
    cold_ms: float = 0.0
    """The same without any cached tokens."""
    evaluated: float = 0.0
    """Prompt tokens evaluated per key."""
    kept: float = 0.0


COLUMNS = ("grows with", "", "a key", "cold", "evaluated", "kept")


def cells(cost: Cost) -> list[str]:
    def known(value: float, unit: str) -> str:
        return f"{value:.0f} {unit}".strip() if value else ""

    return [cost.grows_with, cost.at, f"{cost.key_ms:.1f} ms", known(cost.cold_ms, "ms"), known(cost.evaluated, ""), known(cost.kept, "")]


async def scaling(models: Sequence[Weights], say: Say) -> list[Cost]:
    """All points; the windows are measured for each model."""
    costs = await _files(say)
    costs += await _editors(say)
    for measured in models:
        say(f"{measured.name}: windows ...")
        async with engine(measured, Engine()) as driven:
            for characters in WINDOW_CHARACTERS:
                costs.append(await _window(driven, measured.name, characters))
    return costs


async def _files(say: Say) -> list[Cost]:
    """The cost by file length, measured through the language server with the bundled model."""
    found = []
    text = traces.default().text
    for lines in FILE_LINES:
        say(f"A file of {lines} lines ...")
        whole = "\n".join((text * (lines // 300 + 2)).split("\n")[:lines])
        document = Document("long.py", "python", whole)
        document.cursor = whole.index("\n", len(whole) // 2)
        began = time.perf_counter()
        async with figures.opened(weights("bundled"), document, {"completion": {"multiline": False}}) as editor:
            cold = (time.perf_counter() - began) * 1000
            times = await _keys(editor, document)
        found.append(Cost(grows_with="file", at=f"{lines} lines", key_ms=round(statistics.median(times), 2), cold_ms=round(cold)))
    return found


async def _keys(editor: InfillEditor, document: Document) -> list[float]:
    times = []
    for letter in figures.TYPED[:KEYS]:
        editor.tell(document, document.type(letter))
        asked = await figures.question(editor, document)
        if asked.source == "model":
            times.append(asked.milliseconds)
    if not times:
        raise InfillError("The model was never asked.")
    return times


async def _editors(say: Say) -> list[Cost]:
    """The cost with several editors whose users all press a key at the same time."""
    found = []
    measured, text = weights("bundled"), traces.default().text
    for count in EDITORS:
        say(f"{count} editors ...")
        with home(measured) as folder:
            pairs = []
            try:
                for number in range(count):
                    editor = InfillEditor(folder, settings_for(measured, None, None, {"completion": {"multiline": False}}), Recorder())
                    document = Document(f"window-{number}.py", "python", f"# {number}\n{text}")
                    document.cursor = document.text.index("\n", len(text) // (number + 2))
                    pairs.append((editor, document))
                    await editor.open(document)
                together = await asyncio.gather(*(_keys(editor, document) for editor, document in pairs))
            finally:
                for editor, _ in reversed(pairs):
                    await editor.close()
        times = [one for times in together for one in times]
        found.append(Cost(grows_with="editors", at=str(count), key_ms=round(statistics.median(times), 2)))
    return found


async def _window(driven: Driven, name: str, characters: int) -> Cost:
    """The cost in the engine alone: a prompt of this size, first cold, then key by key."""
    text, slot = shuffled(traces.default().text, characters), f"window-{characters}"
    split = characters - characters // SUFFIX_SHARE
    before, after = f"{text[:split]}\n", f"\n{text[split:characters]}"
    cold = await driven.ask(before, after, slot=slot, tokens=1)
    asked = [await driven.ask(before + figures.TYPED[: at + 1], after, slot=slot, tokens=1) for at in range(KEYS)]
    driven.client.forget(slot)
    spent = [one.done.timings for one in asked]
    kept = statistics.median(one.tokens_kept for one in spent)
    return Cost(
        grows_with=f"window, {name}",
        at=f"{kept:.0f} tokens",
        key_ms=round(statistics.median(one.milliseconds for one in asked), 2),
        cold_ms=round(cold.milliseconds),
        evaluated=statistics.median(one.tokens_evaluated for one in spent),
        kept=kept,
    )
