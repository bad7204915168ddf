"""What a prompt format of a next-edit model is: from the parts of a prompt to pieces of text, and from the answer to the new lines. Pure.

Text of the user is never joined with control tokens: a piece names its control token apart, and whoever holds the tokenizer looks it up. A format
that marks places by plain text (the cursor, the region) refuses documents that hold this text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from infill.ask import Message, Piece, Snippet

MOST_RECENT = 6
"""Recent edits in a prompt: what Sweep and Zeta were trained on."""
LONGEST_LINE = 600
"""Characters; a window with a longer line gets no suggestion."""
MOST_LINES_MORE = 20
"""A rewritten region with so many lines more than before is refused."""


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """An edit of the history: whole lines, without those that stay."""

    path: str
    first: int
    """Line of the present text, from 0."""
    old: tuple[str, ...]
    new: tuple[str, ...]
    above: str = ""
    """The line before it; empty: there is none, or it is not known."""
    below: str = ""
    accepted: bool = False
    """It was a suggestion."""

    @property
    def end(self) -> int:
        """Behind the last line of the present text."""
        return self.first + len(self.new)


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What a prompt is made of."""

    path: str
    opened: tuple[str, ...]
    """The document at the beginning of the history; the last line is empty where it ends in a line break."""
    lines: tuple[str, ...]
    """The document now."""
    cursor: tuple[int, int]
    """Line and index."""
    recent: tuple[Recent, ...] = ()
    """Of all documents, oldest first; none that changes white space only."""
    related: tuple[Snippet, ...] = ()
    """Text from other files, the best first."""
    file_lines: int = 800
    """Of a longer document a prompt holds a part of so many lines."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt, and how its answer is read."""

    format: str
    first: int
    """The region that the answer rewrites: lines `first` up to `end` of the document."""
    end: int
    old: tuple[str, ...]
    """The lines of the region."""
    pieces: tuple[Piece, ...] = ()
    """The prompt; empty: `messages` are."""
    messages: tuple[Message, ...] = ()
    """The prompt of a model with a chat template."""
    prefill: tuple[str, ...] = ()
    """Lines at the beginning of the region that are part of the prompt already."""
    max_tokens: int = 512

    @property
    def text(self) -> str:
        """The prompt as one text, control tokens by their names: for people, golden files and hashes."""
        said = "".join(f"[{message.role}]\n{message.content}\n" for message in self.messages)
        return said + "".join(piece.control + piece.text for piece in self.pieces)


class Read(msgspec.Struct, frozen=True):
    """An answer, read."""

    lines: tuple[str, ...]
    """The region's new lines."""
    cursor: tuple[int, int] | None = None
    """Where the model puts the cursor: a line of `lines` and an index."""


class Format(Protocol):
    """A prompt format."""

    name: str
    controls: tuple[str, ...]
    """Control tokens that the vocabulary must have, each as one token."""
    stops: tuple[str, ...]
    """Texts that end an answer, beside the model's own end-of-text."""

    def ask(self, material: Material) -> Question | None:
        """The prompt; None where the document holds what the format marks places with, or has lines that are too long."""
        ...

    def lines(self, question: Question, answer: str) -> list[str]:
        """The complete lines that an unfinished answer has so far, those that were prefilled first."""
        ...

    def read(self, question: Question, answer: str) -> Read | None:
        """The new lines of a whole answer; None where it is not an answer in this format."""
        ...


def cursor_in(lines: Sequence[str], material: Material, first: int, mark: str) -> list[str]:
    """The lines of a window with the cursor's mark."""
    marked, (line, index) = list(lines), material.cursor
    if first <= line < first + len(marked):
        text = marked[line - first]
        marked[line - first] = text[:index] + mark + text[index:]
    return marked


def without_mark(lines: Sequence[str], mark: str) -> Read:
    """The lines of an answer without the cursor's mark, and where it stood."""
    at = next(((number, line.index(mark)) for number, line in enumerate(lines) if mark in line), None)
    return Read(tuple(line.replace(mark, "") for line in lines), at)


def holds(lines: Sequence[str], marks: Sequence[str]) -> bool:
    """Whether a document holds text that a format marks places with."""
    return any(mark in line for line in lines for mark in marks)


def too_long(lines: Sequence[str]) -> bool:
    return any(len(line) > LONGEST_LINE for line in lines)


def piece_of(count: int, line: int, most: int) -> tuple[int, int]:
    """The part of a document that a prompt holds: all of it, or the piece on a grid of half its size whose middle is nearest to `line`.

    On a grid, so that it stays the same, and in the KV cache, while the cursor moves.
    """
    if count <= most:
        return 0, count
    grid = max(1, most // 2)
    first = max(0, round((line - most / 2) / grid)) * grid
    first = min(first, max(0, -(-(count - most) // grid) * grid))
    return first, min(count, first + most)


def undone(material: Material, first: int, end: int) -> list[str]:
    """The lines `first` up to `end` with the recent edits taken back that lie in them, newest first."""
    lines = list(material.lines[first:end])
    inside = [one for one in material.recent if one.path == material.path and first <= one.first and one.end <= end]
    for one in sorted(inside, key=lambda edit: -edit.first):
        if tuple(lines[one.first - first : one.end - first]) == one.new:
            lines[one.first - first : one.end - first] = one.old
    return lines
