"""The input of the next-edit rules, and their result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from infill.edits.hunks import Hunk

Kind = Literal["edit", "jump", "rename"]
Source = Literal["rename", "repeat", "same line", "signature", "diagnostic", "model"]


class Problem(msgspec.Struct, frozen=True):
    """A diagnostic of the editor."""

    line: int
    index: int
    message: str
    error: bool = True
    new: bool = True
    """It appeared after the last edit."""


class Situation(msgspec.Struct, kw_only=True):
    """A document after an edit."""

    document: str
    language: str
    lines: Sequence[str]
    """The lines without line ends."""
    hunks: Sequence[Hunk]
    """The hunks of this document, in the order of their places."""
    cursor: tuple[int, int]
    """Line and index."""
    problems: Sequence[Problem] = ()

    def newest(self, count: int) -> list[Hunk]:
        """The user's last `count` hunks, the newest first, without changes of white space and accepted suggestions."""
        return sorted((hunk for hunk in self.hunks if not (hunk.blank or hunk.accepted)), key=lambda hunk: -hunk.order)[:count]

    def accepted(self) -> list[Hunk]:
        """Accepted suggestions, which confirm the edits that they repeat."""
        return [hunk for hunk in self.hunks if hunk.accepted]


class Change(msgspec.Struct, frozen=True):
    """Whole lines to replace: `first` up to, not including, `end`."""

    first: int
    end: int
    new: tuple[str, ...]


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One next edit."""

    kind: Kind
    source: Source
    reason: str
    """The reason, as the end of a sentence that begins with "because"."""
    change: Change | None = None
    """None for a jump."""
    line: int
    index: int = 0
    """The cursor after the edit."""
    rest: tuple[Change, ...] = ()
    """All changes of the same group including this one, in the order of their places; empty if it is alone."""
    group: str
    """Id of a chain of suggestions; a rejection applies to the whole group."""
    fix: str = ""
    """Beginning of the title of a quick fix that the editor's language server may offer."""


def nearest(lines: Sequence[int], cursor: int) -> list[int]:
    """The lines in the order of the offers: downward from the cursor, then upward."""
    return sorted(lines, key=lambda line: (line < cursor, abs(line - cursor)))


def group_of(changes: Mapping[int, Change], near: int, *, source: Source, reason: str, group: str) -> Suggestion:
    """The change nearest to the line `near`, with the others of its group. `changes` by line. The cursor goes to the end of the changed text."""
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
