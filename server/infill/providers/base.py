"""What a provider is: something that answers. The only module of this room that `completion/` and `generation/` may import. No I/O here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from infill.ask import Event, Instruction, Prompt


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider can take, and how fast it is here (0 while unknown)."""

    prefix_tokens: int = 1024
    suffix_tokens: int = 384
    snippet_tokens: int = 0
    chars_per_token: float = 3.2
    typical_ms: float = 0.0
    """Running median from request to the first complete line: what the debounce adapts to."""
    remote: bool = False
    """True where text leaves this machine."""
    ready: bool = True
    """False while it is still getting ready (its model loads or downloads): a chain asks the next one meanwhile."""


class Provider(Protocol):
    """Who answers."""

    name: str
    """As in `providers.order`: `local`, `llamacpp:lab`, ..."""

    @property
    def limits(self) -> Limits: ...

    def complete(self, prompt: Prompt) -> AsyncIterator[Event]:
        """Fill in the middle. Raises ProviderError or ModelError, before or between deltas."""
        ...

    async def warm(self, prompt: Prompt) -> None:
        """Evaluate the prompt ahead, at the lowest priority, where that makes sense; returns at once elsewhere."""
        ...

    async def forget(self, slot: str) -> None:
        """The document was closed."""
        ...

    async def aclose(self) -> None:
        """Give everything back."""
        ...


class Generator(Protocol):
    """A provider that can be given instructions too."""

    name: str

    def follows_instructions(self, model: str) -> bool:
        """Whether the model that would answer follows them; a base model refuses. `model`: a full id, or empty for the chosen one."""
        ...

    def generate(self, instruction: Instruction, model: str = "") -> AsyncIterator[Event]:
        """Answer an instruction. Raises ProviderError or ModelError; NotAChatModel where the model follows no instructions."""
        ...
