"""Places in source files for calibrating a model: what it gives as the rest of the line, how probable it says that is, and whether it is right.

The files are in the languages of the model: this program's own sources, and `data/sources` for languages other than Python. They were written
for this program, so no model that is checked was trained on this version of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from infill import paths
from infill.answers import languages as names
from infill.ask import Stop
from infill.engine.protocol import Complete, Done, Text
from infill.engine.runtime import Runtime
from infill.models.calibration import Line

Place = tuple[str, str, str]
"""Prefix, rest of the line, suffix."""
BEFORE, AFTER, LONGEST_REST = 4000, 2000, 80
"""Characters of prefix and of suffix, and of the longest rest of a line."""
NEAR, NEXT = 1500, 500
"""The same in a check, which is to be quick."""
PLACES, SECONDS = 160, 45.0
"""Of a check: as many places as it takes, in as much time as it may take."""
SMALLEST = 2000
"""Bytes of a file of interest."""
LINE = Stop(max_tokens=40, single_line=True, deadline_ms=60_000)


def own_sources() -> list[str]:
    """The sources of this program."""
    root = Path(__file__).parent.parent
    return [path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py")) if path.stat().st_size > SMALLEST]


def places(texts: Sequence[str], seed: int, before: int = BEFORE, after: int = AFTER) -> Iterator[Place]:
    """Without end: random cursors with something left to write on their line."""
    dice, usable = random.Random(seed), [text for text in texts if len(text) > 400]
    while usable:
        text = dice.choice(usable)
        at = dice.randrange(200, len(text))
        end = text.find("\n", at)
        if end >= 0 and text[at:end].strip() and end - at <= LONGEST_REST:
            yield text[max(0, at - before) : at], text[at:end], text[end : end + after]


def samples() -> dict[str, tuple[str, list[str]]]:
    """By language: the name of a file, and texts to cut."""
    others = sorted(paths.sample_sources().iterdir())
    return {"python": ("example.py", own_sources())} | {names.canonical(path.name): (path.name, [path.read_text("utf-8")]) for path in others}


def mixed(languages: Sequence[str], seed: int = 1) -> Iterator[tuple[str, Place]]:
    """Without end: a file's name and a place, by turns in each of the languages; in every language where none of them has samples."""
    known = samples()
    chosen = [known[language] for language in dict.fromkeys(languages) if language in known] or list(known.values())
    for turn in zip(*(places(texts, seed, NEAR, NEXT) for _, texts in chosen), strict=True):
        yield from zip((name for name, _ in chosen), turn, strict=True)


def lines(runtime: Runtime, languages: Sequence[str], seconds: float = SECONDS) -> list[Line]:
    """First lines that the model gives at PLACES places of its languages, or at fewer where the time is over. Raises NotAFimModel."""
    found: list[Line] = []
    until = time.monotonic() + seconds
    for number, (path, place) in zip(range(PLACES), mixed(languages), strict=False):
        if time.monotonic() > until:
            break
        if (line := _line(runtime, f"place {number}", path, place)) is not None:
            found.append(line)
    return found


def _line(runtime: Runtime, slot: str, path: str, place: Place) -> Line | None:
    """None where the model has nothing to say."""
    prefix, rest, suffix = place
    text, logprob = "", None
    for frame in runtime.complete(Complete(id=0, model="", slot=slot, prefix=prefix, suffix=suffix, path=path, stop=LINE)):
        if isinstance(frame, Text):
            text += frame.text
        elif isinstance(frame, Done) and frame.finishes:
            logprob = frame.finishes[0].logprob
    runtime.forget(slot)
    line = text.partition("\n")[0].rstrip()
    return Line(logprob, line == rest.rstrip()) if line and logprob is not None else None
