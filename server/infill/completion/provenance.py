"""What an answer was generated from, and whether the document is still the same. Pure; string comparisons of a few microseconds.

An answer may be shown again only if the model's input is unchanged: the document's language, the windows around the cursor and the snippets. Text
typed since that agrees with the answer, and closers that an editor adds or overtypes, are no change. Text outside the windows may change. A
document's path is in the prompt, so an answer is never used for another document.
"""

from __future__ import annotations

import msgspec

from infill.ask import Snippet
from infill.completion.place import same_below
from infill.completion.types import CompletionRequest, Neighbour


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a prompt, with the names of the request's fields."""

    uri: str = ""
    path: str = ""
    language: str = ""
    prefix: str = ""
    """The window left of the cursor, including the cursor's indentation."""
    suffix: str = ""
    """The window right of the cursor."""
    from_start: bool = False
    """The prefix begins at the start of the document, so text inserted above it would be sent too."""
    to_end: bool = False
    """The suffix ends at the end of the document."""
    snippets: tuple[Snippet, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    """Documents that the snippets were chosen from; the same documents give the same snippets."""


NOWHERE = Provenance()
"""Provenance of an answer that is never used again."""


def provenance_of(request: CompletionRequest, sent: tuple[str, str], snippets: tuple[Snippet, ...] = ()) -> Provenance:
    """The provenance of an answer to `request`; `sent` is the text left and right of the cursor in the prompt."""
    prefix, suffix = sent
    return Provenance(
        uri=request.uri,
        path=request.path,
        language=request.language,
        prefix=prefix,
        suffix=suffix,
        from_start=len(prefix) == len(request.prefix),
        to_end=len(suffix) == len(request.suffix),
        snippets=snippets,
        neighbours=request.neighbours if snippets else (),
    )


def holds(made_of: Provenance, request: CompletionRequest, typed: str) -> bool:
    """Whether all of it is unchanged around the cursor of `request`, after `typed` was added left of the cursor."""
    start = len(request.prefix) - len(typed) - len(made_of.prefix)
    return (
        (start == 0 if made_of.from_start else start >= 0)
        and (made_of.uri, made_of.language, made_of.path) == (request.uri, request.language, request.path)
        and request.prefix.startswith(made_of.prefix, start)
        and request.prefix.endswith(typed)
        and same_below(made_of.suffix, request.suffix, typed, to_end=made_of.to_end)
        and (made_of.neighbours == request.neighbours or _stand(made_of.snippets, request.neighbours))
    )


def _stand(snippets: tuple[Snippet, ...], neighbours: tuple[Neighbour, ...]) -> bool:
    """Whether the snippets are still in their files."""
    return all(any(piece.path == other.path and piece.text in other.text for other in neighbours) for piece in snippets)
