"""What an answer was made of, and whether a document still says it. Pure; a comparison of strings, a few microseconds at most.

An answer may be shown again only where all that the model read is unchanged: the document and its language, the windows of text around the cursor and
the pieces of other files, as they were sent. Text typed since, as the answer says, and closers that an editor adds or types over are no change. Text
outside the windows was not read, so it may change. A document's path is in the prompt, so an answer never serves another document.
"""

from __future__ import annotations

import msgspec

from infill.ask import Snippet
from infill.completion.place import same_below
from infill.completion.types import CompletionRequest, Neighbour


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a prompt, in the words of the request that it was built from."""

    uri: str = ""
    path: str = ""
    language: str = ""
    prefix: str = ""
    """The window left of the cursor, the cursor's indentation included."""
    suffix: str = ""
    """The window right of it."""
    from_start: bool = False
    """The prefix begins where the document does: text put above it would have been sent too."""
    to_end: bool = False
    """The suffix ends where the document does."""
    snippets: tuple[Snippet, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    """Where the snippets were chosen from: while these are the same, so are the snippets."""


NOWHERE = Provenance()
"""Of an answer that never serves again."""


def provenance_of(request: CompletionRequest, sent: tuple[str, str], snippets: tuple[Snippet, ...] = ()) -> Provenance:
    """Of an answer to `request`, of which `sent` (left and right of the cursor) is in the prompt."""
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
    """Whether all of it stands unchanged around the cursor of `request`, left of which `typed` was added."""
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
    """Whether the pieces of other files are still in them."""
    return all(any(piece.path == other.path and piece.text in other.text for other in neighbours) for piece in snippets)
