"""The interface of a provider, a source of completions. The only module of this package that `completion/` and `generation/` may import. No I/O."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from infill.ask import Event, Instruction, Prompt


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider accepts, and its measured speed on this machine (0 while unknown)."""

    prefix_tokens: int = 1024
    suffix_tokens: int = 384
    snippet_tokens: int = 0
    chars_per_token: float = 3.2
    typical_ms: float = 0.0
    """Running median from request to the first complete line; the debounce adapts to it."""
    remote: bool = False
    """True if text is sent to another machine."""
    ready: bool = True
    """False while its model loads or downloads; a chain uses the next provider meanwhile."""


class Provider(Protocol):
    """A source of completions."""

    name: str
    """The name as in `providers.order`: `local`, `llamacpp:lab`, ..."""

    @property
    def limits(self) -> Limits: ...

    def complete(self, prompt: Prompt) -> AsyncIterator[Event]:
        """Fill in the middle. Raises ProviderError or ModelError, before or between deltas."""
        ...

    async def warm(self, prompt: Prompt) -> None:
        """Process the prompt ahead of time, at the lowest priority. Returns at once for providers without a cache."""
        ...

    async def forget(self, slot: str) -> None:
        """Note that the document was closed."""
        ...

    async def aclose(self) -> None:
        """Release all resources."""
        ...


class Generator(Protocol):
    """A provider that also accepts instructions."""

    name: str

    def follows_instructions(self, model: str) -> bool:
        """Whether the model that would answer follows instructions; a base model does not. `model`: a full id, or empty for the chosen one."""
        ...

    def generate(self, instruction: Instruction, model: str = "") -> AsyncIterator[Event]:
        """Answer an instruction. Raises ProviderError or ModelError; NotAChatModel for a model that does not follow instructions."""
        ...
