"""An editor that controls the real server over stdio, through pytest-lsp's client."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
from lsprotocol import types
from pytest_lsp import LanguageClient

SERVER = (sys.executable, "-m", "infill", "lsp")
PATIENCE = 30.0
"""Seconds after which a test stops waiting; long enough for a busy machine."""
GHOST = types.TextDocumentClientCapabilities(inline_completion=types.InlineCompletionClientCapabilities())
ADD = "import os\n\n\ndef add(a, b):\n    return "
"""Code that the bundled model continues with a suggestion."""


class Editor:
    """An editor that mainly works with one document."""

    def __init__(self, client: LanguageClient, home: Path) -> None:
        self.client = client
        self.home = home
        self.statuses: list[Any] = []
        self.versions: dict[str, int] = {}

        self.answer = ""
        """The user's choice in a message with buttons."""
        self.questions: list[types.ShowMessageRequestParams] = []

        @client.feature(types.WINDOW_SHOW_MESSAGE_REQUEST)
        def on_question(params: types.ShowMessageRequestParams) -> types.MessageActionItem | None:
            self.questions.append(params)
            return types.MessageActionItem(title=self.answer) if self.answer else None

        @client.feature("infill/status")
        def on_status(params: Any) -> None:
            self.statuses.append(params)

    @property
    def kinds(self) -> list[str]:
        return [status.kind for status in self.statuses]

    @property
    def server(self) -> psutil.Process:
        process = self.client._server
        assert process is not None
        return psutil.Process(process.pid)

    async def start(self, **capabilities: Any) -> types.InitializeResult:
        options = capabilities.pop("options", None)
        folders = capabilities.pop("folders", None)
        known = types.ClientCapabilities(**({"text_document": GHOST} | capabilities))
        params = types.InitializeParams(capabilities=known, initialization_options=options, workspace_folders=folders)
        return await self.client.initialize_session(params)

    def open(self, text: str, uri: str = "file:///project/a.py", language: str = "python") -> None:
        self.versions[uri] = 1
        item = types.TextDocumentItem(uri=uri, language_id=language, version=1, text=text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def type(self, text: str, line: int, character: int, uri: str = "file:///project/a.py") -> None:
        self.versions[uri] += 1
        at = types.Position(line, character)
        change = types.TextDocumentContentChangePartial(range=types.Range(at, at), text=text)
        document = types.VersionedTextDocumentIdentifier(version=self.versions[uri], uri=uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def question(self, line: int, character: int, uri: str = "file:///project/a.py", *, invoked: bool = False) -> types.InlineCompletionParams:
        kind = types.InlineCompletionTriggerKind.Invoked if invoked else types.InlineCompletionTriggerKind.Automatic
        return types.InlineCompletionParams(
            context=types.InlineCompletionContext(trigger_kind=kind),
            text_document=types.TextDocumentIdentifier(uri),
            position=types.Position(line, character),
        )

    async def ghosts(
        self, line: int, character: int, uri: str = "file:///project/a.py", *, invoked: bool = False
    ) -> list[types.InlineCompletionItem]:
        asked = self.client.text_document_inline_completion_async(self.question(line, character, uri, invoked=invoked))
        result = await asyncio.wait_for(asked, PATIENCE)
        assert isinstance(result, types.InlineCompletionList)
        return list(result.items)

    async def command(self, name: str, *arguments: Any) -> Any:
        asked = self.client.workspace_execute_command_async(types.ExecuteCommandParams(command=name, arguments=list(arguments)))
        return await asyncio.wait_for(asked, PATIENCE)

    async def explained(self) -> Any:
        """The result of `infill.explain` after the whole answer, including what follows its first line, has been generated."""
        while (told := await self.command("infill.explain"))["answer"]["tokensEvaluated"] is None:  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.02)
        return told

    async def engine(self) -> Any:
        """The engine's part of `infill.status`."""
        return (await self.command("infill.status"))["engine"]


async def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Bounded wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)
    return value


NewEditor = Callable[..., Awaitable[Editor]]
