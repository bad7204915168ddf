"""Selects the provider of this editor: the local model alone, or a chain of providers. Rebuilt when the settings or the chosen model change.

If `local` is the only provider, no chain is built and its modules are not imported. It opens no connection and starts no process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infill import state
from infill.engine.protocol import Changed
from infill.errors import InfillError
from infill.lsp.background import Background
from infill.providers.base import Provider
from infill.providers.local import LocalProvider
from infill.settings import Settings

if TYPE_CHECKING:
    from infill.providers.chain import Chain

FRESH_SECONDS = 1.0
"""How long a choice read from the state is cached: the command line and other windows may change it."""
LOCAL = "local"


class Provision:
    """Holds the provider and the chosen model."""

    def __init__(
        self,
        settings: Settings,
        *,
        on_changed: Callable[[Changed], None],
        tell: Callable[[InfillError], None],
        background: Background,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.local = LocalProvider(settings, self.local_model, on_changed, client="infill lsp")
        self.provider: Provider = self.local
        self._settings = settings
        self._tell = tell
        self._background = background
        self._clock = clock
        self._chain: Chain | None = None
        self._built_from: Any = None
        self._writer: Chain | None = None
        self._writer_built_from: Any = None
        self._workspace: str | None = None
        self._chosen = ""
        self._read_at = -FRESH_SECONDS

    def model(self) -> str:
        """The completion model: from the setting, else last chosen for this workspace, else for this user."""
        if setting := self._settings.models.complete:
            return setting
        if not self._chosen or self._clock() - self._read_at >= FRESH_SECONDS:
            self._chosen, self._read_at = state.chosen_model("complete", self._workspace), self._clock()
        return self._chosen

    def local_model(self) -> str:
        """The model that the engine loads; the bundled one if a remote model is chosen."""
        model = self.model()
        return model if model.startswith(f"{LOCAL}:") else state.BUNDLED

    def edit_model(self) -> str:
        """The model for next edits; empty: none is chosen. Reads a file."""
        from infill.models import next_edit

        return next_edit.chosen(self._settings, self._workspace)

    def chosen(self) -> None:
        """Read the chosen model again, because it may have changed."""
        self._chosen = ""

    def configure(self, settings: Settings, folder: Path | None) -> Provider:
        """Use new settings or another workspace; returns the provider."""
        self._settings, self._workspace = settings, str(folder) if folder else None
        self.chosen()
        self.local.configure(settings)
        return self.current()

    def current(self) -> Provider:
        """The provider: the same object as before, unless its settings or model have changed."""
        settings, model = self._settings, self.model()
        remote_model = "" if model.startswith(f"{LOCAL}:") else model
        made_of = (settings.providers, settings.privacy.offline, remote_model)
        if made_of != self._built_from:
            self._built_from, before = made_of, self._chain
            self._chain = None if settings.providers.order == [LOCAL] and not remote_model else self._build(settings, model)
            self.provider = self._chain or self.local
            if before is not None:
                self._background.start(_leave(before, self.local), "leaving a provider")
        return self.provider

    def writer(self, model: str) -> Provider:
        """The provider that generates code with `model`: the one that completes, unless it does not have that model."""
        answering = self.current()
        if not model or (self._chain is None and model.startswith(f"{LOCAL}:")):
            return answering
        from infill.providers import setup

        name = setup.provider_of(model, self._settings)
        if not name or (self._chain is not None and self._chain.find(name)):
            return answering
        if name == LOCAL:
            return self.local
        made_of = (self._settings.providers, self._settings.privacy.offline, model)
        if made_of != self._writer_built_from:
            self._writer_built_from, before = made_of, self._writer
            self._writer = self._build(self._settings, model)
            if before is not None:
                self._background.start(_leave(before, self.local), "leaving a provider")
        return self._writer or answering

    async def aclose(self) -> None:
        for chain in (self._chain, self._writer):
            if chain is not None:
                await chain.aclose()
        await self.local.aclose()

    def _build(self, settings: Settings, model: str) -> Chain:
        from infill.providers import setup

        return setup.chain(settings, self.local, model=model, tell=self._tell)


async def _leave(chain: Chain, local: LocalProvider) -> None:
    """Close the providers of a chain, except the local one, which stays in use."""
    for member in chain.members:
        if member.provider is not local:
            await member.provider.aclose()
