"""Shows all messages to the user: `window/showMessage` and `window/showMessageRequest`.

Each error is shown once until the server exits, with the next step. Messages never contain the user's code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from infill.errors import InfillError, ProviderUnavailable
from infill.lsp import client_commands
from infill.privacy.text import clean

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

LONGEST = 1_000
"""Maximum length of a message in characters."""


class Messages:
    """Shows messages, and remembers which were shown."""

    def __init__(self, server: LanguageServer) -> None:
        self._server = server
        self._told: set[str] = set()

    def say(self, text: str, kind: types.MessageType = types.MessageType.Info) -> None:
        """Show a message, unless it was shown before."""
        if text in self._told:
            return
        self._told.add(text)
        self._server.window_show_message(types.ShowMessageParams(type=kind, message=_shown(text)))

    def trouble(self, error: InfillError) -> None:
        """Show an error once; an unavailable provider is shown in the status only."""
        if not isinstance(error, ProviderUnavailable):
            self.warn(error)

    def warn(self, error: InfillError) -> None:
        """Show an error once as a warning: with buttons if the editor supports SHOW_TROUBLE, else with the next step as text."""
        if not client_commands.runs(self._server.client_capabilities, client_commands.SHOW_TROUBLE):
            self.say(str(error), types.MessageType.Warning)
        elif str(error) not in self._told:
            self._told.add(str(error))
            told = {"error": type(error).__name__, "message": _safe(error.message), "severity": "warning"}
            self._server.protocol.notify("infill/runCommand", {"command": client_commands.SHOW_TROUBLE, "arguments": [told]})

    async def ask(self, question: str, answers: list[str]) -> str:
        """Ask a question; returns the answer, or an empty text if it was dismissed. Never await this in a handler that can be cancelled."""
        actions = [types.MessageActionItem(title=answer) for answer in answers]
        params = types.ShowMessageRequestParams(type=types.MessageType.Info, message=_shown(question), actions=actions)
        try:
            chosen = await self._server.window_show_message_request_async(params)
        except JsonRpcException:
            return ""
        return chosen.title if chosen else ""


def _shown(text: str) -> str:
    """A message without links: its text may come from a repository or a server, and editors turn `[text](command:...)` into a link."""
    return f"infill: {_safe(text)}"


def _safe(text: str) -> str:
    return clean(text[:LONGEST]).replace("](", "] (")
