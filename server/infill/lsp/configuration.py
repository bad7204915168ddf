"""Merges the settings of the editor, the user's file and the workspace into one `Settings`, again at each change.

    defaults < settings.toml < initializationOptions < section `infill` < .infill.toml (harmless settings only) < toggled in this session

All invalid values are listed in one message, and their defaults are used. Invalid settings never keep the server from starting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from infill import environment, log, settings_file
from infill.errors import SettingsError
from infill.lsp.background import Background
from infill.lsp.messages import Messages
from infill.privacy import trust
from infill.settings import Settings, resolve

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

SECTION = "infill"
OF_THE_EDITOR = frozenset({"server", "trace"})
"""Names in section `infill` that belong to the editor extension, not to the server."""
FIRST_ANSWER_SECONDS = 2.0
"""Longest wait of the first completions for the editor's settings, in seconds; then the known ones are used."""

logger = logging.getLogger(__name__)


class Configuration:
    """Holds the current settings."""

    def __init__(self, server: LanguageServer, messages: Messages, background: Background, settings: Settings, trusted: bool | None) -> None:
        self.settings = settings
        self.known = asyncio.Event()
        """Set once the editor has sent its settings or FIRST_ANSWER_SECONDS have passed."""
        self._server = server
        self._messages = messages
        self._background = background
        self._trusted = trusted
        self._folders: list[Path] = []
        self._options: Any = None
        self._section: Any = None
        self._enabled: bool | None = None
        self._languages: dict[str, bool] = {}
        self._followers: list[Callable[[Settings], None]] = []

    def follow(self, follower: Callable[[Settings], None]) -> None:
        """Call `follower` with the new settings each time they change."""
        self._followers.append(follower)

    def start(self, options: Any, folders: list[Path]) -> None:
        """Use `initializationOptions`, and the folders that may contain `.infill.toml`."""
        self._options = options
        self._folders = folders
        self._resolve(tell=False)

    def moved(self, folders: list[Path]) -> None:
        """Handle a change of the workspace folders."""
        self._folders = folders
        self._resolve()

    async def on_initialized(self, params: types.InitializedParams) -> None:
        # before resolving: if that raises, completions would wait for settings that were never requested
        self._background.start(self._subscribe(), "asking for the settings")
        self._resolve()

    async def on_did_change(self, params: types.DidChangeConfigurationParams) -> None:
        if self._can("workspace.configuration"):
            self._background.start(self._pull(), "asking for the settings")
        else:
            self._section = params.settings
            self._resolve()

    def toggle(self, *, enabled: bool | None = None, language: str = "") -> bool:
        """Switch completions on or off, globally or for a language, until the server exits; returns the new state."""
        if language:
            wanted = enabled if enabled is not None else not self.settings.languages.get(language, True)
            self._languages[language] = wanted
        else:
            wanted = enabled if enabled is not None else not self.settings.enabled
            self._enabled = wanted
        self._resolve()
        return wanted

    async def _subscribe(self) -> None:
        loop = asyncio.get_running_loop()
        patience = loop.call_later(FIRST_ANSWER_SECONDS, self.known.set)
        try:
            if self._can("workspace.configuration"):
                await self._pull()
        finally:
            patience.cancel()
            self.known.set()
        if self._can("workspace.did_change_configuration.dynamic_registration"):
            method = types.WORKSPACE_DID_CHANGE_CONFIGURATION
            wish = types.Registration(id="infill-settings", method=method, register_options={"section": SECTION})
            await self._server.client_register_capability_async(types.RegistrationParams(registrations=[wish]))

    async def _pull(self) -> None:
        item = types.ConfigurationItem(section=SECTION)
        try:
            answers = await self._server.workspace_configuration_async(types.ConfigurationParams(items=[item]))
        except JsonRpcException:
            logger.warning("the editor did not say what is set")
            return
        self._section = answers[0] if answers else None
        self._resolve()

    def _can(self, capability: str) -> bool:
        return bool(get_capability(self._server.client_capabilities, capability, False))

    def _resolve(self, *, tell: bool = True) -> None:
        options, problems = settings_file.read()
        for said in (self._options, self._section):
            ours, wrong = _ours(said)
            options, problems = trust.merged(options, ours), problems + wrong
        settings, wrong = resolve(options)
        problems += wrong
        for folder in self._folders:
            said, unreadable = trust.read_workspace_file(folder)
            options, ignored = trust.combine(options, said, settings, trusted=self._trusted, where=str(folder / trust.FILE))
            problems += unreadable + ignored
        settings, wrong = resolve(options)
        problems += [one for one in wrong if one not in problems]
        if tell and problems:
            self._messages.warn(SettingsError("Some settings were not taken. " + " ".join(problems)))
        self._take(self._toggled(settings))

    def _toggled(self, settings: Settings) -> Settings:
        enabled = settings.enabled if self._enabled is None else self._enabled
        return msgspec.structs.replace(settings, enabled=enabled, languages={**settings.languages, **self._languages})

    def _take(self, settings: Settings) -> None:
        if settings == self.settings:
            return
        self.settings = settings
        environment.withhold(endpoint.key_variable for endpoint in settings.providers.remote.values())
        log.set_level(settings.log_level)
        for follower in self._followers:
            follower(settings)


def _ours(said: Any) -> tuple[dict[str, Any], list[str]]:
    """An editor's settings as a table, and the problems in them. Some editors nest it as `{"infill": {...}}`, which is unpacked."""
    options = said[SECTION] if isinstance(said, dict) and SECTION in said else said
    if not isinstance(options, dict):
        return {}, resolve(options)[1]
    return {name: value for name, value in options.items() if name not in OF_THE_EDITOR}, []
