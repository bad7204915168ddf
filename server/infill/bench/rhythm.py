"""Generates traces from source files: the text comes from the file, the timing and the slips from a seed. Deterministic on all machines.

Intervals between keys are log-normal, in bursts with pauses at words and lines. 3 % of the letters are slips that are corrected; words are
deleted and typed again; the author jumps between places in the file. In some of the longer pauses a suggestion is accepted.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator

from infill.bench.trace import Edit, Hole, Trace
from infill.errors import InfillError

KEY_MS, KEY_SPREAD = 135.0, 0.42
"""Median and log-normal spread within a burst: about 60 words a minute."""
WORD_START_FACTOR = 1.25
WORD_PAUSE_CHANCE, WORD_PAUSE_MS, WORD_PAUSE_SPREAD = 0.1, 800.0, 0.5
LINE_PAUSE_CHANCE, LINE_PAUSE_MS, LINE_PAUSE_SPREAD = 0.6, 1300.0, 0.6
THINKING_CHANCE, THINKING_MS, THINKING_SPREAD = 0.008, 3000.0, 0.5
SHORTEST_MS, LONGEST_MS = 35.0, 9000.0
SLIP_CHANCE = 0.03
NOTICE_MS, RETYPE_MS = 330.0, 190.0
TAKE_BACK_CHANCE = 0.012
"""Probability per word."""
JUMP_MS = 1800.0
ACCEPT_CHANCE, ACCEPT_FROM_MS = 0.45, 700.0
"""Probability that the shown suggestion is accepted in a pause, and the minimum length of that pause."""
NEIGHBOURS = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuiopqsdfghjklaxcvbnmz", strict=True))
"""The wrong key of a slip."""


def make_trace(text: str, name: str, seed: int = 1, characters: int = 600, language: str = "python") -> Trace:
    """A trace with about this many typed characters. Raises InfillError if the file is too short."""
    dice = random.Random(seed)
    text = text.replace("\r\n", "\n")
    starts = _holes(text, dice, characters)
    bare, holes = _take_out(text, starts)
    order = list(range(len(holes)))
    dice.shuffle(order)
    edits = [edit for hole in order for edit in _write(hole, holes[hole].text, dice)]
    return Trace(name=name, seed=seed, language=language, text=bare, holes=tuple(holes), edits=tuple(edits))


def _holes(text: str, dice: random.Random, characters: int) -> list[tuple[int, int]]:
    """Disjoint spans of whole lines in file order, each from the end of the previous line to the end of its last line."""
    ends = [found.start() for found in re.finditer("\n", text)]
    if len(ends) < 40:
        raise InfillError("The file is too short to make a trace from.", "Take one of 40 lines or more.")
    chosen: list[tuple[int, int]] = []
    typed = 0
    for _ in range(400):
        if typed >= characters:
            break
        first = dice.randrange(len(ends) // 8, len(ends) - 10)
        span = (ends[first], ends[first + dice.randint(2, 6)])
        body = text[span[0] : span[1]]
        if not _typable(body) or any(span[0] <= other[1] and other[0] <= span[1] for other in chosen):
            continue
        chosen.append(span)
        typed += len(re.sub(r"\n[ \t]+", "\n", body))
    return sorted(chosen)


def _typable(body: str) -> bool:
    """Whether the text is code that people type: no blank start, more than a comment, no very long line."""
    lines = body[1:].split("\n")
    return bool(lines[0].strip()) and body.isascii() and all(len(line) < 110 for line in lines) and sum(len(line.strip()) for line in lines) > 40


def _take_out(text: str, spans: list[tuple[int, int]]) -> tuple[str, list[Hole]]:
    bare, holes, at = "", [], 0
    for start, end in spans:
        bare += text[at:start]
        holes.append(Hole(len(bare), text[start:end]))
        at = end
    return bare + text[at:], holes


def _write(hole: int, text: str, dice: random.Random) -> Iterator[Edit]:
    """All edits at one place, from the jump to its last key."""
    yield Edit(wait=_interval(dice, JUMP_MS, 0.4), kind="jump", hole=hole)
    done = 0
    for unit in re.findall(r"\n[ \t]*|[^\n]", text):
        wait = _before(unit, text[:done], dice)
        if wait > ACCEPT_FROM_MS and done and dice.random() < ACCEPT_CHANCE:
            yield Edit(wait=wait * 0.7, kind="accept", hole=hole, done=done)
            wait *= 0.3
        if unit.isalpha() and dice.random() < SLIP_CHANCE:
            yield Edit(wait=wait, kind="type", text=NEIGHBOURS.get(unit.lower(), "e"), hole=hole, done=done, slip=True)
            yield Edit(wait=_interval(dice, NOTICE_MS, 0.35), kind="delete", count=1, hole=hole, done=done)
            wait = _interval(dice, RETYPE_MS, 0.3)
        done += len(unit)
        yield Edit(wait=wait, kind="type", text=unit, hole=hole, done=done)
        word = re.search(r"\b[A-Za-z_]{4,}$", text[:done])
        if word and not re.match(r"\w", text[done : done + 1]) and dice.random() < TAKE_BACK_CHANCE:
            yield from _take_back(hole, word[0], done, dice)


def _take_back(hole: int, word: str, done: int, dice: random.Random) -> Iterator[Edit]:
    yield Edit(wait=_interval(dice, NOTICE_MS * 2, 0.4), kind="delete", count=len(word), hole=hole, done=done - len(word))
    for at, letter in enumerate(word, 1):
        yield Edit(wait=_interval(dice, KEY_MS, KEY_SPREAD), kind="type", text=letter, hole=hole, done=done - len(word) + at)


def _before(unit: str, written: str, dice: random.Random) -> float:
    """Milliseconds that the author waits before a key."""
    last = written[-1:]
    starts_word = not last.isalnum() and unit.isalnum()
    wait = _interval(dice, KEY_MS * (WORD_START_FACTOR if starts_word else 1), KEY_SPREAD)
    if written and "\n" in written[-12:] and not written[written.rfind("\n") :].strip() and dice.random() < LINE_PAUSE_CHANCE:
        wait += _interval(dice, LINE_PAUSE_MS, LINE_PAUSE_SPREAD)
    elif (starts_word or not unit.isalnum()) and dice.random() < WORD_PAUSE_CHANCE:
        wait += _interval(dice, WORD_PAUSE_MS, WORD_PAUSE_SPREAD)
    elif dice.random() < THINKING_CHANCE:
        wait += _interval(dice, THINKING_MS, THINKING_SPREAD)
    return wait


def _interval(dice: random.Random, median: float, spread: float) -> float:
    return round(min(LONGEST_MS, max(SHORTEST_MS, median * math.exp(dice.gauss(0, spread)))), 1)
