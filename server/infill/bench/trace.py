"""Traces: a user typing code in a file, as timed edits that can be played to any editor. Values and their JSON file format; no clock.

The file starts with holes from which text was removed. The author types the missing text hole by hole, key by key, with corrected slips, deleted
words, pauses and occasional acceptances. After every edit it is known how much of the hole is filled, and so what the author types next. Suggestions
are compared with that text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from infill.errors import InfillError

FORMAT = 1


class Hole(msgspec.Struct, frozen=True):
    """Text that the author writes at one place."""

    offset: int
    """The position in the original text."""
    text: str


class Edit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One action of the author."""

    wait: float
    """Milliseconds since the previous edit."""
    kind: Literal["type", "delete", "jump", "accept"]
    text: str = ""
    """The typed text; a newline includes its indentation, as in editors."""
    count: int = 0
    """Number of characters deleted before the cursor."""
    hole: int = 0
    """The hole of the edit; for a jump, its target."""
    done: int = 0
    """Number of correct characters in the hole after this edit."""
    slip: bool = False
    """Whether a wrong character is before the cursor after this edit."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A complete trace."""

    format: int = FORMAT
    name: str
    language: str = "python"
    seed: int = 0
    text: str
    """The original text of the file."""
    holes: tuple[Hole, ...]
    edits: tuple[Edit, ...]

    @property
    def seconds(self) -> float:
        return sum(edit.wait for edit in self.edits) / 1000

    @property
    def characters(self) -> int:
        return sum(len(hole.text) for hole in self.holes)


def load(file: Path) -> Trace:
    """Read a trace. Raises InfillError if the file is not a trace."""
    try:
        trace = msgspec.json.decode(file.read_bytes(), type=Trace)
    except msgspec.MsgspecError as exc:
        raise InfillError(f"{file} is not a trace: {exc}.", "`infill bench make-trace FILE` makes one.") from exc
    if trace.format != FORMAT:
        raise InfillError(f"{file} is a trace of format {trace.format}; this version reads {FORMAT}.", "Make it again.")
    return trace


def save(trace: Trace, file: Path) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(trace), indent=1))
