"""What a next edit is made from, and what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from infill.edits.hunks import Hunk

Kind = Literal["edit", "jump", "rename"]
Source = Literal["rename", "repeat", "same line", "signature", "diagnostic", "model"]


class Problem(msgspec.Struct, frozen=True):
    """A diagnostic that the editor shows."""

    line: int
    index: int
    message: str
    error: bool = True
    new: bool = True
    """It appeared since the last edit."""


class Situation(msgspec.Struct, kw_only=True):
    """A document after an edit."""

    document: str
    language: str
    lines: Sequence[str]
    """Without line ends."""
    hunks: Sequence[Hunk]
    """Of this document, in the order of their places."""
    cursor: tuple[int, int]
    """Line and index."""
    problems: Sequence[Problem] = ()

    def newest(self, count: int) -> list[Hunk]:
        """The last `count` hunks that the user made, the newest first: neither white space alone nor accepted suggestions."""
        return sorted((hunk for hunk in self.hunks if not (hunk.blank or hunk.accepted)), key=lambda hunk: -hunk.order)[:count]

    def accepted(self) -> list[Hunk]:
        """The suggestions that were accepted: they confirm the edits that they repeat."""
        return [hunk for hunk in self.hunks if hunk.accepted]


class Change(msgspec.Struct, frozen=True):
    """Whole lines to be replaced: `first` up to, not including, `end`."""

    first: int
    end: int
    new: tuple[str, ...]


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One next edit."""

    kind: Kind
    source: Source
    reason: str
    """Why, as the end of a sentence that begins with "because"."""
    change: Change | None = None
    """None: only a jump."""
    line: int
    index: int = 0
    """Where the cursor goes."""
    rest: tuple[Change, ...] = ()
    """The other changes of the same group, this one included, in the order of their places; empty: it is alone."""
    group: str
    """What suggestions of one chain share; a rejection counts for all of them."""
    fix: str = ""
    """The beginning of the title of a quick fix that the editor's own language server may offer there."""


def nearest(lines: Sequence[int], cursor: int) -> list[int]:
    """The lines in the order in which they are offered: downward from the cursor, then upward from it."""
    return sorted(lines, key=lambda line: (line < cursor, abs(line - cursor)))


def group_of(changes: Mapping[int, Change], near: int, *, source: Source, reason: str, group: str) -> Suggestion:
    """The change nearest to the line `near`, with the others of its group; `changes` by line. The cursor goes to the end of what is changed."""
    at = nearest(sorted(changes), near)[0]
    new = changes[at].new
    return Suggestion(
        kind="edit",
        source=source,
        reason=reason,
        group=group,
        change=changes[at],
        line=at,
        index=len(new[-1]) if new else 0,
        rest=tuple(changes[line] for line in sorted(changes)),
    )
