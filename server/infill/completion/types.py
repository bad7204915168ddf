"""The values that a completion is made of, from the cursor to the suggestion. Immutable, no behaviour beyond small views, no I/O.

Positions never appear here: text left of the cursor is `prefix`, text right of it is `suffix`. Only `lsp/` turns them into ranges.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from infill.ask import Timings


class Neighbour(msgspec.Struct, frozen=True):
    """A piece of another open or recently edited document."""

    path: str
    """As shown to the model: relative to the workspace."""
    text: str
    edited: float = 0.0
    """When it was last edited, in seconds of the monotonic clock; larger is newer."""


class Indentation(msgspec.Struct, frozen=True, kw_only=True):
    """What an editor or `.editorconfig` says of a document's indentation."""

    tabs: bool | None = None
    """Lines are indented by tabs; None: not said."""
    step: int = 0
    """Columns of a level of spaces; 0: not said."""
    tab: int = 0
    """Columns of a tab; 0: not said."""


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One question: what belongs at this cursor? A snapshot: nothing in it changes while it is answered."""

    uri: str
    """Identity of the document (a notebook's cells share their notebook's)."""
    path: str = ""
    """File name relative to the workspace, for the model to read; may be empty (untitled)."""
    language: str = ""
    """LSP language identifier, such as `python`."""
    version: int = 0
    prefix: str
    """All text left of the cursor (bounded by the shell to what could ever be used), newlines as `\\n`."""
    suffix: str
    """All text right of it."""
    automatic: bool = True
    """True while typing; False when the user asked by a key: no debounce, several candidates."""
    selected: str = ""
    """What the completion popup has selected, beyond what is typed: the suggestion starts with it or there is none."""
    indentation: Indentation = Indentation()
    disabled: str = ""
    """Why nothing may be suggested here (switched off, excluded, read-only), as a sentence; empty: it may."""
    remote_allowed: bool = True
    """False in files whose text must not leave this machine."""
    neighbours: tuple[Neighbour, ...] = ()

    @property
    def line_before(self) -> str:
        """The cursor's line up to the cursor."""
        return self.prefix[self.prefix.rfind("\n") + 1 :]

    @property
    def line_after(self) -> str:
        """The cursor's line from the cursor on, without its newline."""
        end = self.suffix.find("\n")  # partition would copy the rest of the document at each key
        return self.suffix if end < 0 else self.suffix[:end]


class Suggestion(msgspec.Struct, frozen=True):
    """One thing the user may accept."""

    text: str
    """Inserted at the cursor."""
    replaces: int = 0
    """Characters (code points) right of the cursor that `text` repeats and therefore takes the place of."""
    mean_logprob: float = 0.0
    probability: float | None = None
    """That its first line is what belongs there, 0 to 1; None: the provider does not tell."""


Source = Literal["model", "cache", "running", "prefetch", "none"]
"""Who had the answer: evaluated for it, the cache, a generation already under way, or one computed ahead."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The one answer to a request; without suggestions, `reason` says why."""

    suggestions: tuple[Suggestion, ...] = ()
    held_back: bool = False
    """There is a suggestion, and it was judged not worth reading."""
    reason: str = ""
    """Such as `cancelled`, `superseded`, `in the middle of a word`: one sentence part, always set when there is no suggestion."""
    source: Source = "none"
    provider: str = ""
    model: str = ""
    timings: Timings = Timings()
    notes: tuple[str, ...] = ()
    """More for `infill.explain`: what was trimmed, moved, filtered, who was asked before."""
