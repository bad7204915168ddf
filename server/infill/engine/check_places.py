"""Cursor positions in source files for calibrating a model: its text for the rest of the line, the probability of that text, and whether it is right.

The files are in the model's languages: infill's own Python sources, and `data/sources` for other languages. They were written for this program,
so no checked model was trained on this version of them.
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
"""Characters of the prefix, of the suffix, and of the longest rest of a line."""
NEAR, NEXT = 1500, 500
"""The same for a check, which must be fast."""
PLACES, SECONDS = 160, 45.0
"""Limits of a check: number of positions, and seconds."""
SMALLEST = 2000
"""Minimum size of a file in bytes."""
LINE = Stop(max_tokens=40, single_line=True, deadline_ms=60_000)


def own_sources() -> list[str]:
    """The sources of this program."""
    root = Path(__file__).parent.parent
    return [path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py")) if path.stat().st_size > SMALLEST]


def places(texts: Sequence[str], seed: int, before: int = BEFORE, after: int = AFTER) -> Iterator[Place]:
    """Infinite: random cursor positions with text after them on their line."""
    dice, usable = random.Random(seed), [text for text in texts if len(text) > 400]
    while usable:
        text = dice.choice(usable)
        at = dice.randrange(200, len(text))
        end = text.find("\n", at)
        if end >= 0 and text[at:end].strip() and end - at <= LONGEST_REST:
            yield text[max(0, at - before) : at], text[at:end], text[end : end + after]


def samples() -> dict[str, tuple[str, list[str]]]:
    """By language: a file name, and texts to take positions from."""
    others = sorted(paths.sample_sources().iterdir())
    return {"python": ("example.py", own_sources())} | {names.canonical(path.name): (path.name, [path.read_text("utf-8")]) for path in others}


def mixed(languages: Sequence[str], seed: int = 1) -> Iterator[tuple[str, Place]]:
    """Infinite: a file name and a position, in each of the languages in turn; in all languages if none of them has samples."""
    known = samples()
    chosen = [known[language] for language in dict.fromkeys(languages) if language in known] or list(known.values())
    for turn in zip(*(places(texts, seed, NEAR, NEXT) for _, texts in chosen), strict=True):
        yield from zip((name for name, _ in chosen), turn, strict=True)


def lines(runtime: Runtime, languages: Sequence[str], seconds: float = SECONDS) -> list[Line]:
    """First lines that the model generates at PLACES positions of its languages, or at fewer if `seconds` pass first. Raises NotAFimModel."""
    found: list[Line] = []
    until = time.monotonic() + seconds
    for number, (path, place) in zip(range(PLACES), mixed(languages), strict=False):
        if time.monotonic() > until:
            break
        if (line := _line(runtime, f"place {number}", path, place)) is not None:
            found.append(line)
    return found


def _line(runtime: Runtime, slot: str, path: str, place: Place) -> Line | None:
    """None if the model generates nothing."""
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
