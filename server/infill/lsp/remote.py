"""The commands about providers: `infill.testProvider` and `infill.showLastRequest`. `providers.check` does the work."""

from __future__ import annotations

from typing import Any

import msgspec

from infill.lsp.configuration import Configuration
from infill.lsp.provision import Provision


class ProviderArgument(msgspec.Struct, frozen=True):
    """A provider as in `providers.order`; empty: all."""

    provider: str = ""


class ProviderCommands:
    """The commands about providers."""

    def __init__(self, provision: Provision, configuration: Configuration) -> None:
        self._provision = provision
        self._configuration = configuration

    async def test(self, argument: ProviderArgument) -> dict[str, Any]:
        """Request one real completion of a fixed sample line from each provider."""
        from infill.providers import check

        names = [argument.provider] if argument.provider else []
        checks = await check.try_all(self._configuration.settings, self._provision.local, names)
        return {"results": [msgspec.structs.asdict(one) for one in checks]}

    async def last_request(self, argument: Any) -> dict[str, Any]:
        """The last request to a remote provider, exactly as it was sent, without keys."""
        from infill.providers import check

        return check.last_request(self._provision.provider)
