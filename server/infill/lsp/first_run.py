"""Asks a new user once whether to download the best model that this machine can run.

It asks after the first answer of the bundled model, if the editor has message actions and no other model is chosen or installed. Never asks offline.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.capabilities import get_capability

from infill import state
from infill.errors import InfillError
from infill.lsp import client_commands
from infill.lsp.background import Background
from infill.lsp.configuration import Configuration
from infill.lsp.messages import Messages
from infill.lsp.models import Argument, ModelCommands, SwitchArgument
from infill.privacy import network

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

    from infill.models.recommend import Recommendation

QUIET_SECONDS = 10.0
"""Pause after the first answer, so that the user first sees completions work."""
DOWNLOAD, CHOOSE, NOT_NOW = "Download", "Choose", "Not now"

logger = logging.getLogger(__name__)


class FirstRun:
    """Asks the question once."""

    def __init__(
        self, server: LanguageServer, configuration: Configuration, messages: Messages, models: ModelCommands, background: Background
    ) -> None:
        self._server = server
        self._configuration = configuration
        self._messages = messages
        self._models = models
        self._background = background
        self._begun = False

    def answered(self, model: str) -> None:
        """Start the question if `model`, which answered a completion, is the bundled one."""
        if not self._begun and model == state.BUNDLED and self._can_ask():
            self._begun = True
            self._background.start(self._ask_later(), "asking for a better model")

    def _can_ask(self) -> bool:
        offline = network.is_offline(self._configuration.settings.privacy.offline)
        return not offline and get_capability(self._server.client_capabilities, "window.show_message.message_action_item", None) is not None

    async def _ask_later(self) -> None:
        if await asyncio.to_thread(_is_settled):
            return
        await asyncio.sleep(QUIET_SECONDS)
        try:
            found = await asyncio.to_thread(self._recommended)
            if found is not None:
                await self._ask(found)
        except InfillError as exc:
            logger.info("no model was recommended: %s", exc)

    def _recommended(self) -> Recommendation | None:
        """The recommended model; None if another window has asked meanwhile, or the model is already installed."""
        from infill.models import recommend

        found = recommend.recommend(self._configuration.settings.engine)
        with state.changing() as known:
            if known.asked_first_run or found.installed:
                return None
            known.asked_first_run = True
        return found

    async def _ask(self, found: Recommendation) -> None:
        question = (
            f"This machine can run {found.title} at about {found.tokens_per_second:.0f} tokens/s, {found.size / 1e9:.1f} GB to download. "
            "The small model that came with infill answers meanwhile."
        )
        chooses = client_commands.runs(self._server.client_capabilities, client_commands.CHOOSE_MODEL)
        answer = await self._messages.ask(question, [DOWNLOAD, *([CHOOSE] if chooses else []), NOT_NOW])
        if answer == DOWNLOAD:
            try:
                await self._models.download(Argument(model=found.id))
                told = await self._models.switch(SwitchArgument(model=found.id))
                self._messages.say(told["message"])
            except InfillError as exc:
                self._messages.say(str(exc), types.MessageType.Warning)
        elif answer == CHOOSE:
            self._server.protocol.notify("infill/runCommand", {"command": client_commands.CHOOSE_MODEL})


def _is_settled() -> bool:
    """Whether the question is unnecessary: it was asked, or a model was chosen or installed."""
    from infill.models import store

    known = state.load()
    return known.asked_first_run or bool(known.models) or bool(known.workspaces) or any(one.full_id != state.BUNDLED for one in store.installed())
