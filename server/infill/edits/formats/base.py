"""The interface of a prompt format of a next-edit model: from parts to the prompt, and from the answer to new lines. Pure.

Text of the user is never joined with control tokens. A piece names its control token separately, and the owner of the tokenizer looks it up. A format
with plain-text marks (for the cursor or the region) rejects documents that contain a mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from infill.ask import Message, Piece, Snippet

MOST_RECENT = 6
"""Maximum number of recent edits in a prompt; Sweep and Zeta were trained with this number."""
LONGEST_LINE = 600
"""Maximum number of characters; a window with a longer line gets no suggestion."""
MOST_LINES_MORE = 20
"""Maximum number of lines that a rewritten region may grow by."""


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """A recent edit: whole lines, without unchanged ones."""

    path: str
    first: int
    """Line of the present text, from 0."""
    old: tuple[str, ...]
    new: tuple[str, ...]
    above: str = ""
    """The line before it; empty if there is none or it is unknown."""
    below: str = ""
    accepted: bool = False
    """It was an accepted suggestion."""

    @property
    def end(self) -> int:
        """The line after the last one, in the present text."""
        return self.first + len(self.new)


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a prompt."""

    path: str
    opened: tuple[str, ...]
    """The document at the beginning of the history; the last line is empty if it ends with a line break."""
    lines: tuple[str, ...]
    """The present document."""
    cursor: tuple[int, int]
    """Line and index."""
    recent: tuple[Recent, ...] = ()
    """Recent edits of all documents, oldest first, without changes of white space."""
    related: tuple[Snippet, ...] = ()
    """Text from other files, the most relevant first."""
    file_lines: int = 800
    """Maximum number of lines of a document in a prompt; of longer ones a part is used."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt, and the data to read its answer."""

    format: str
    first: int
    """The region that the answer rewrites: lines `first` up to `end` of the document."""
    end: int
    old: tuple[str, ...]
    """The lines of the region."""
    pieces: tuple[Piece, ...] = ()
    """The prompt; empty if `messages` is used."""
    messages: tuple[Message, ...] = ()
    """The prompt of a model with a chat template."""
    prefill: tuple[str, ...] = ()
    """Lines at the beginning of the region that are part of the prompt."""
    max_tokens: int = 512

    @property
    def text(self) -> str:
        """The prompt as one text with the names of control tokens: for users, golden files and hashes."""
        said = "".join(f"[{message.role}]\n{message.content}\n" for message in self.messages)
        return said + "".join(piece.control + piece.text for piece in self.pieces)


class Read(msgspec.Struct, frozen=True):
    """A parsed answer."""

    lines: tuple[str, ...]
    """The region's new lines."""
    cursor: tuple[int, int] | None = None
    """The cursor in the answer: a line of `lines` and an index."""


class Format(Protocol):
    """A prompt format."""

    name: str
    controls: tuple[str, ...]
    """Control tokens that the vocabulary must have, each as one token."""
    stops: tuple[str, ...]
    """Texts that end an answer, in addition to the model's end-of-text token."""

    def ask(self, material: Material) -> Question | None:
        """The prompt; None if the document contains a mark of the format or too long lines."""
        ...

    def lines(self, question: Question, answer: str) -> list[str]:
        """The complete lines of an unfinished answer, after the prefilled lines."""
        ...

    def read(self, question: Question, answer: str) -> Read | None:
        """The new lines of a complete answer; None if the answer does not have this format."""
        ...


def cursor_in(lines: Sequence[str], material: Material, first: int, mark: str) -> list[str]:
    """The lines of a window with the cursor's mark."""
    marked, (line, index) = list(lines), material.cursor
    if first <= line < first + len(marked):
        text = marked[line - first]
        marked[line - first] = text[:index] + mark + text[index:]
    return marked


def without_mark(lines: Sequence[str], mark: str) -> Read:
    """The lines of an answer without the cursor's mark, and the place of the mark."""
    at = next(((number, line.index(mark)) for number, line in enumerate(lines) if mark in line), None)
    return Read(tuple(line.replace(mark, "") for line in lines), at)


def holds(lines: Sequence[str], marks: Sequence[str]) -> bool:
    """Whether a document contains a mark of a format."""
    return any(mark in line for line in lines for mark in marks)


def too_long(lines: Sequence[str]) -> bool:
    return any(len(line) > LONGEST_LINE for line in lines)


def piece_of(count: int, line: int, most: int) -> tuple[int, int]:
    """The part of a document in the prompt: all of it, or a part on a grid of half its size, centred near `line`.

    The grid keeps the part unchanged, and in the KV cache, while the cursor moves.
    """
    if count <= most:
        return 0, count
    grid = max(1, most // 2)
    first = max(0, round((line - most / 2) / grid)) * grid
    first = min(first, max(0, -(-(count - most) // grid) * grid))
    return first, min(count, first + most)


def undone(material: Material, first: int, end: int) -> list[str]:
    """The lines `first` up to `end` without the recent edits in them, which are undone from the newest."""
    lines = list(material.lines[first:end])
    inside = [one for one in material.recent if one.path == material.path and first <= one.first and one.end <= end]
    for one in sorted(inside, key=lambda edit: -edit.first):
        if tuple(lines[one.first - first : one.end - first]) == one.new:
            lines[one.first - first : one.end - first] = one.old
    return lines
