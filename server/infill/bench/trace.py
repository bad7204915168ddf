"""A trace: somebody writing code in a file, as timed edits that can be played to any editor. Values, and their file format (JSON); no clock here.

The file starts with holes where text was taken out. The author goes from hole to hole and types what was there, key by key, with slips that are
put right, words taken back, pauses, and looks at a suggestion now and then. After every edit it is known how much of the hole stands, hence what
the author types next: that is what a suggestion is worth.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from infill.errors import InfillError

FORMAT = 1


class Hole(msgspec.Struct, frozen=True):
    """Text that the author writes in one place."""

    offset: int
    """Where, in the text as it is at the start."""
    text: str


class Edit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that the author does."""

    wait: float
    """Milliseconds since the edit before."""
    kind: Literal["type", "delete", "jump", "accept"]
    text: str = ""
    """What is typed; a newline brings its indentation with it, as editors do."""
    count: int = 0
    """Characters deleted left of the cursor."""
    hole: int = 0
    """Where it happens; for a jump: where to."""
    done: int = 0
    """Characters of the hole that stand rightly after this edit."""
    slip: bool = False
    """A wrong character stands left of the cursor after this edit."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    format: int = FORMAT
    name: str
    language: str = "python"
    seed: int = 0
    text: str
    """The file as it is at the start."""
    holes: tuple[Hole, ...]
    edits: tuple[Edit, ...]

    @property
    def seconds(self) -> float:
        return sum(edit.wait for edit in self.edits) / 1000

    @property
    def characters(self) -> int:
        return sum(len(hole.text) for hole in self.holes)


def load(file: Path) -> Trace:
    """Read a trace. Raises InfillError where it is none."""
    try:
        trace = msgspec.json.decode(file.read_bytes(), type=Trace)
    except msgspec.MsgspecError as exc:
        raise InfillError(f"{file} is not a trace: {exc}.", "`infill bench make-trace FILE` makes one.") from exc
    if trace.format != FORMAT:
        raise InfillError(f"{file} is a trace of format {trace.format}; this version reads {FORMAT}.", "Make it again.")
    return trace


def save(trace: Trace, file: Path) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(trace), indent=1))
