"""The values of a completion, from the request to the suggestion. Immutable; small views only, no I/O.

There are no positions: `prefix` is the text left of the cursor, `suffix` the text right of it. Only `lsp/` converts them to ranges.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from infill.ask import Timings


class Neighbour(msgspec.Struct, frozen=True):
    """Part of another document that is open or was edited recently."""

    path: str
    """Path in the prompt, relative to the workspace."""
    text: str
    edited: float = 0.0
    """Time of the last edit, in seconds of the monotonic clock."""


class Indentation(msgspec.Struct, frozen=True, kw_only=True):
    """A document's indentation as set by an editor or `.editorconfig`."""

    tabs: bool | None = None
    """Lines are indented by tabs; None: not set."""
    step: int = 0
    """Columns of a level of spaces; 0: not set."""
    tab: int = 0
    """Columns of a tab; 0: not set."""


class CompletionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for the text at a cursor; an immutable snapshot of the document."""

    uri: str
    """Identity of the document (a notebook's cells share their notebook's)."""
    path: str = ""
    """File name relative to the workspace, for the prompt; may be empty (untitled)."""
    language: str = ""
    """LSP language identifier, such as `python`."""
    version: int = 0
    prefix: str
    """All text left of the cursor (limited by the caller to what can be used), newlines as `\\n`."""
    suffix: str
    """All text right of the cursor."""
    automatic: bool = True
    """True while typing. False if requested with a key: no debounce, several candidates."""
    selected: str = ""
    """The rest of the item selected in the completion popup; every suggestion begins with it."""
    indentation: Indentation = Indentation()
    disabled: str = ""
    """Why suggestions are off for this document (switched off, excluded, read-only), as a sentence; empty if they are on."""
    remote_allowed: bool = True
    """False for files whose text must not leave this machine."""
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
    """One text that the user can accept."""

    text: str
    """Inserted at the cursor."""
    replaces: int = 0
    """Number of characters (code points) right of the cursor that `text` replaces, because it repeats them."""
    mean_logprob: float = 0.0
    probability: float | None = None
    """Probability that its first line is right, 0 to 1; None if the provider returns none."""


Source = Literal["model", "cache", "running", "prefetch", "none"]
"""Origin of the answer: evaluated for this request, the cache, a running generation, or a prefetch."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a request; `reason` explains why there are no suggestions."""

    suggestions: tuple[Suggestion, ...] = ()
    held_back: bool = False
    """There is a suggestion, hidden because of its low probability."""
    reason: str = ""
    """Part of a sentence, such as `cancelled`, `superseded` or `in the middle of a word`; set if there is no suggestion."""
    source: Source = "none"
    provider: str = ""
    model: str = ""
    timings: Timings = Timings()
    notes: tuple[str, ...] = ()
    """More for `infill.explain`: what was trimmed, moved or filtered, and which providers were tried before."""
