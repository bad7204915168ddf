"""What a kind of server adds to the common way of asking: its paths, its words, and how it says that it is done. No I/O but through the Connection.

One file each: llamacpp, ollama, openai, mistral. remote.py asks them.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from infill.ask import Instruction, Prompt
from infill.errors import InfillError
from infill.providers.base import Limits
from infill.providers.families import Family
from infill.providers.http import Connection, Deadline


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the model over there, once it was asked."""

    model: str = ""
    family: Family | None = None
    """Where a prompt has to be rendered for it; None: the server does that."""
    mode: str = ""
    """A dialect's own word for the way it is asked."""
    warning: InfillError | None = None
    """What a user has to know of the way it is asked: told once."""
    note: str = ""
    """The same, for the notes of each answer."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request."""

    path: str
    body: dict[str, Any]
    words: tuple[str, ...] = ()
    """Stop words for our own side: all of them, also those that the server was told."""
    chat: bool = False
    """The answer comes from a chat model that was asked for the code at a cursor: `answers.stream` reads it."""
    converses: bool = False
    """The answer is a conversation's, read as a whole later: reasoning is passed on, between marks."""
    prefix: str = ""
    """What stands before that cursor, which such an answer may repeat."""
    language: str = ""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What one message of a stream says."""

    text: str = ""
    reasoning: str = ""
    """Reasoning that the server sends apart from the answer."""
    why: str = ""
    """Set by the last one: `end` or `length`."""
    evaluated: int = 0
    kept: int = 0
    generated: int = 0
    logprob: float | None = None
    """Log-probability of the message's tokens; None: not said."""


class RemoteModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server offers."""

    name: str
    size: int = 0
    """Bytes; 0: not said."""
    family: str = ""
    parameters: str = ""
    quantization: str = ""


class Dialect(Protocol):
    """One kind of server."""

    default_url: str
    limits: Limits

    async def model(self, line: Connection, deadline: Deadline) -> str:
        """The model to be used where a request names none. Raises ProviderRefused where a choice has to be made first."""
        ...

    async def look(self, line: Connection, deadline: Deadline) -> Facts:
        """Find out what is needed to ask this server to fill in the middle. Raises ProviderRefused where it cannot be."""
        ...

    def completion(self, prompt: Prompt, facts: Facts) -> Call: ...

    def generation(self, instruction: Instruction, model: str) -> Call: ...

    def read(self, message: dict[str, Any]) -> Piece: ...

    async def models(self, line: Connection, deadline: Deadline) -> list[RemoteModel]: ...
