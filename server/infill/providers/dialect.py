"""The interface for server-specific parts of remote providers: paths, field names and end-of-stream signals. No I/O except through Connection.

One file each: llamacpp, ollama, openai, mistral. Used by remote.py.
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
    """What a dialect found out about the remote model."""

    model: str = ""
    family: Family | None = None
    """The family whose tokens the prompt is rendered with; None if the server renders it."""
    mode: str = ""
    """The dialect's name for its way of filling in."""
    warning: InfillError | None = None
    """A warning for the user about that way of filling in; reported once."""
    note: str = ""
    """The same warning for the notes of each answer."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request."""

    path: str
    body: dict[str, Any]
    words: tuple[str, ...] = ()
    """All stop words that are enforced client-side, including those that the server was sent."""
    chat: bool = False
    """The answer comes from a chat model that was asked for the code at a cursor; `answers.stream` extracts the code."""
    converses: bool = False
    """The answer is part of a conversation and is read as a whole later; reasoning is passed on between marks."""
    prefix: str = ""
    """The text before that cursor, which such an answer may repeat."""
    language: str = ""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """The content of one message of a stream."""

    text: str = ""
    reasoning: str = ""
    """Reasoning that the server sends in a separate field."""
    why: str = ""
    """The stop reason in the last message: `end` or `length`."""
    evaluated: int = 0
    kept: int = 0
    generated: int = 0
    logprob: float | None = None
    """Log-probability of the message's tokens; None if the server sent none."""


class RemoteModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server offers."""

    name: str
    size: int = 0
    """Bytes; 0 if unknown."""
    family: str = ""
    parameters: str = ""
    quantization: str = ""


class Dialect(Protocol):
    """One kind of server."""

    default_url: str
    limits: Limits

    async def model(self, line: Connection, deadline: Deadline) -> str:
        """The default model, for requests that name none. Raises ProviderRefused if the user has to choose one first."""
        ...

    async def look(self, line: Connection, deadline: Deadline) -> Facts:
        """What is needed to send fill-in-the-middle requests. Raises ProviderRefused if the model cannot fill in the middle."""
        ...

    def completion(self, prompt: Prompt, facts: Facts) -> Call: ...

    def generation(self, instruction: Instruction, model: str) -> Call: ...

    def read(self, message: dict[str, Any]) -> Piece: ...

    async def models(self, line: Connection, deadline: Deadline) -> list[RemoteModel]: ...
