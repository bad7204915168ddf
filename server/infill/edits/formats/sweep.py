"""Sweep's next-edit models (0.5B, 1.5B, 7B; Qwen2.5-Coder), in the two documented variants.

`Sweep` is the format of Sweep's local server (sweep-autocomplete 0.1.1). It has the file as opened, recent edits, and eight lines around the cursor
before and after the edits. The start of the new lines follows. `SweepCard` is the format of the model card: no line ranges, no cursor mark, a window
of 21 lines. It is not documented which of them the published weights were trained on.
"""

from __future__ import annotations

from infill.ask import Piece
from infill.edits.formats.base import MOST_RECENT, Material, Question, Read, Recent, cursor_in, holds, piece_of, too_long, undone, without_mark

FILE = "<|file_sep|>"
END = "<|endoftext|>"
CURSOR = "<|cursor|>"
"""Plain text; not a token of the vocabulary."""
ABOVE, BELOW = 2, 5
"""Number of lines of the window above and below the cursor's line."""
CARD_AROUND = 10
NO_LINE_BREAK = " No newline at end of file"
"""Removed from answers; the models learned it by mistake from diffs."""


class Sweep:
    """The format of Sweep's own server."""

    name = "sweep"
    controls: tuple[str, ...] = (FILE, END)
    stops: tuple[str, ...] = (FILE, END)

    def ask(self, material: Material) -> Question | None:
        first, end = self._window(material)
        window = list(material.lines[first:end])
        if not window or too_long(window) or holds(window, (CURSOR,)):
            return None
        given = _prefill(window)
        where = material.cursor[0] - first + 1
        called = f"{material.path}:{where}:{where + len(window)}"
        pieces = [
            *_others(material),
            Piece(f"{material.path}\n{_file(material)}\n", FILE),
            *(_hunk(one) for one in material.recent[-MOST_RECENT:]),
            Piece(f"original/{called}\n{_text(undone(material, first, end))}\n", FILE),
            Piece(f"current/{called}\n{_text(cursor_in(window, material, first, CURSOR))}\n", FILE),
            Piece(f"updated/{called}\n{''.join(line + chr(10) for line in given)}", FILE),
        ]
        return Question(format=self.name, first=first, end=end, old=tuple(window), pieces=tuple(pieces), prefill=tuple(given))

    def lines(self, question: Question, answer: str) -> list[str]:
        return [*question.prefill, *answer.replace(CURSOR, "").split("\n")[:-1]]

    def read(self, question: Question, answer: str) -> Read | None:
        if answer.startswith("<|") and not answer.startswith(CURSOR):
            return None
        for stop in self.stops:
            answer = answer.partition(stop)[0]
        lines = [*question.prefill, *answer.removesuffix("\n").removesuffix(NO_LINE_BREAK).removesuffix("\n").split("\n")]
        while len(lines) > 1 and not lines[0].strip() and question.old[0].strip():
            del lines[0]
        while len(lines) > 1 and not lines[-1].strip() and question.old[-1].strip():
            del lines[-1]
        return without_mark(lines, CURSOR)

    def _window(self, material: Material) -> tuple[int, int]:
        """The window around the cursor's line, without blank lines at its ends; lines below replace those removed at the start."""
        lines, line = material.lines, material.cursor[0]
        first, end = max(0, line - ABOVE), min(len(lines), line + BELOW + 1)
        while first < line and not lines[first].strip():
            first, end = first + 1, min(len(lines), end + 1)
        while end > line + 1 and not lines[end - 1].strip():
            end -= 1
        return first, end


class SweepCard(Sweep):
    """The format of the model card."""

    name = "sweep-card"

    def ask(self, material: Material) -> Question | None:
        line = material.cursor[0]
        first, end = max(0, line - CARD_AROUND), min(len(material.lines), line + CARD_AROUND + 1)
        window = list(material.lines[first:end])
        if not window or too_long(window):
            return None
        recent = [
            Piece(f"{one.path}.diff\noriginal:\n{_text(one.old)}\nupdated:\n{_text(one.new)}\n", FILE) for one in material.recent[-MOST_RECENT:]
        ]
        pieces = [
            *(Piece(f"{snippet.path}\n{snippet.text}\n", FILE) for snippet in material.related),
            *recent,
            Piece(f"original/{material.path}\n{_text(undone(material, first, end))}\n", FILE),
            Piece(f"current/{material.path}\n{_text(window)}\n", FILE),
            Piece(f"updated/{material.path}\n", FILE),
        ]
        return Question(format=self.name, first=first, end=end, old=tuple(window), pieces=tuple(pieces))


def _text(lines: list[str] | tuple[str, ...]) -> str:
    return "\n".join(lines)


def _others(material: Material) -> list[Piece]:
    """The first lines of at most one other file, so that the beginning of the prompt stays the same."""
    return [Piece(f"{snippet.path}\n{snippet.text}\n", FILE) for snippet in material.related[:1]]


def _file(material: Material) -> str:
    first, end = piece_of(len(material.opened), material.cursor[0], material.file_lines)
    return _text(material.opened[first:end])


def _hunk(recent: Recent) -> Piece:
    """A recent edit with one line of context on each side, and the line range in the present file."""
    first, end = max(1, recent.first), recent.end + 1
    old, new = (_text([recent.above, *lines, recent.below]).strip("\n") for lines in (recent.old, recent.new))
    return Piece(f"{recent.path}:{first}:{end}\noriginal:\n{old}\nupdated:\n{new}\n", FILE)


def _prefill(window: list[str]) -> list[str]:
    """The first line and the blank lines after it, which stay unchanged; empty if that is the whole window."""
    given = 1
    while given < len(window) and not window[given].strip():
        given += 1
    return window[:given] if given < len(window) else []
