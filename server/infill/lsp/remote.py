"""The commands about who answers: `infill.testProvider` and `infill.showLastRequest`. What they find out is `providers.check`'s business."""

from __future__ import annotations

from typing import Any

import msgspec

from infill.lsp.configuration import Configuration
from infill.lsp.provision import Provision


class ProviderArgument(msgspec.Struct, frozen=True):
    """A provider as in `providers.order`; empty: all of them."""

    provider: str = ""


class ProviderCommands:
    """What can be asked about providers."""

    def __init__(self, provision: Provision, configuration: Configuration) -> None:
        self._provision = provision
        self._configuration = configuration

    async def test(self, argument: ProviderArgument) -> dict[str, Any]:
        """Ask each one real completion of a line that is nobody's."""
        from infill.providers import check

        names = [argument.provider] if argument.provider else []
        checks = await check.try_all(self._configuration.settings, self._provision.local, names)
        return {"results": [msgspec.structs.asdict(one) for one in checks]}

    async def last_request(self, argument: Any) -> dict[str, Any]:
        """What left this machine last, as it left, keys left out."""
        from infill.providers import check

        return check.last_request(self._provision.provider)
