"""Choice of snippets from other files, by shared names and time of the last edit. Pure.

Snippets come first in the prompt, so a change of the choice costs the evaluation of the whole prompt. The choice therefore depends on blocks of
lines around the cursor, never on the line that the user is typing.
"""

from __future__ import annotations

import re

from infill.ask import Snippet
from infill.completion.types import CompletionRequest, Neighbour

CHUNK_LINES = 32
BLOCK_LINES = 32
"""The text around the cursor changes in steps of this many lines."""
AROUND = 4096
"""Number of characters before the cursor whose names are compared."""
LEAST_OVERLAP = 0.05
"""Minimum share of common names; pieces with less are not used."""
RECENT_BONUS = 0.1
"""Added for a piece of the file edited last; divided by the file's rank."""
ECHO = 0.5
"""Maximum share of a piece's lines that are also around the cursor. Pieces with more would repeat text of the prompt."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}")
COMMON_WORDS = frozenset(
    re.findall(
        r"\w+",
        "and assert async await bool break case catch char class const continue def default del defer elif else end enum except export extends"
        " final finally float fmt for from func function global impl import int interface len let local match mod module mut namespace new nil"
        " none None not null package pass print private protected pub public raise range return self static str string struct super switch"
        " then this throw trait true True try type typedef typeof undefined use using var void while with yield false False",
    )
)
"""Common words of many languages; sharing them is no sign that two files are related."""


class Context:
    """Chooses snippets and keeps the last choice of each document, so that a keystroke costs one comparison."""

    def __init__(self) -> None:
        self._chosen: dict[str, tuple[object, tuple[Snippet, ...]]] = {}

    def gather(self, request: CompletionRequest, budget: int) -> tuple[Snippet, ...]:
        """Snippets of at most `budget` characters in total, in a stable order."""
        if budget <= 0 or not request.neighbours:
            return ()
        around = stable_surroundings(request.prefix)
        key = (around, budget, request.neighbours)
        known = self._chosen.get(request.uri)
        if known is None or known[0] != key:
            known = self._chosen[request.uri] = (key, choose(around, request.neighbours, budget))
        return known[1]

    def forget(self, uri: str) -> None:
        self._chosen.pop(uri, None)


def stable_surroundings(prefix: str) -> str:
    """The whole blocks of lines above the cursor's block; constant while the user types in the block."""
    number = prefix.count("\n")
    end = len(prefix)
    for _ in range(number % BLOCK_LINES + 1):
        end = prefix.rfind("\n", 0, end)
    return prefix[max(0, end - AROUND) : end + 1] if end >= 0 else ""


def choose(around: str, neighbours: tuple[Neighbour, ...], budget: int) -> tuple[Snippet, ...]:
    """The best pieces that fit. Pieces of one file stay in its order."""
    wanted = _names(around)
    here = {line.strip() for line in around.split("\n") if line.strip()}
    newest_first = sorted(neighbours, key=lambda neighbour: (-neighbour.edited, neighbour.path))
    ranked = []
    for rank, neighbour in enumerate(newest_first):
        for number, chunk in enumerate(_chunks(neighbour.text)):
            overlap = _overlap(chunk, wanted, here)
            if overlap >= LEAST_OVERLAP:
                ranked.append((overlap + RECENT_BONUS / (rank + 1), rank, number, Snippet(neighbour.path, chunk)))
    ranked.sort(key=lambda entry: (-entry[0], entry[1], entry[2]))
    chosen = []
    for entry in ranked:
        size = len(entry[3].text) + len(entry[3].path) + 1
        if size <= budget:
            budget -= size
            chosen.append(entry)
    # the most relevant file last, nearest to the code to complete
    return tuple(entry[3] for entry in sorted(chosen, key=lambda entry: (-entry[1], entry[2])))


def _names(text: str) -> set[str]:
    return set(_NAME.findall(text)) - COMMON_WORDS


def _chunks(text: str) -> list[str]:
    lines = text.split("\n")
    pieces = ["\n".join(lines[start : start + CHUNK_LINES]).strip("\n") for start in range(0, len(lines), CHUNK_LINES)]
    return [piece for piece in pieces if piece.strip()]


def _overlap(chunk: str, wanted: set[str], here: set[str]) -> float:
    names = _names(chunk)
    lines = {line.strip() for line in chunk.split("\n") if line.strip()}
    if not names or len(lines & here) > ECHO * len(lines):
        return -1.0
    return len(names & wanted) / (len(names) + len(wanted) or 1) * 2
