"""A server in this very process, spoken to in bytes as an editor would, with a scripted provider behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infill.lsp.server import Server, build
from infill.providers.base import Provider
from infill.providers.fake import Fake, Script

PATIENCE = 5.0
"""Seconds after which something that should have come will not come."""
GHOST = {"textDocument": {"inlineCompletion": {}}}


class Editor:
    """Speaks LSP with a server, and remembers what it heard."""

    def __init__(self, script: Script) -> None:
        self.server: Server = build()
        self.fake = Fake(script)
        self.play(self.fake)
        self.settings: Any = None
        """What `workspace/configuration` is answered with."""
        self.heard: list[dict[str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self._replies: dict[Any, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self.server.protocol.finished = asyncio.get_running_loop().create_future()
        self.server.protocol.set_writer(self)

    def play(self, provider: Provider) -> None:
        """Have this provider answer."""
        self.server.provision.current = lambda: provider  # type: ignore[method-assign]
        self.server.completer.provider = provider

    # ---- as pygls's writer

    def write(self, data: bytes) -> None:
        message = json.loads(data.partition(b"\r\n\r\n")[2])
        if "method" not in message:
            if (reply := self._replies.pop(message["id"], None)) and not reply.done():
                reply.set_result(message)
            else:
                self.heard.append(message)
        elif "id" in message:
            self.asked.append(message)
            result = [self.settings] if message["method"] == "workspace/configuration" else None
            asyncio.get_running_loop().call_soon(self.raw, {"jsonrpc": "2.0", "id": message["id"], "result": result})
        else:
            self.heard.append(message)

    def close(self) -> None:
        """Nothing to close."""

    # ---- as an editor

    def raw(self, message: Any) -> None:
        self.server.protocol.receive(message if isinstance(message, bytes) else json.dumps(message).encode())

    def notify(self, method: str, **params: Any) -> None:
        self.raw({"jsonrpc": "2.0", "method": method, "params": params})

    def begin(self, method: str, **params: Any) -> tuple[int, asyncio.Future[dict[str, Any]]]:
        """Send a request; its number, and where its reply will be."""
        self._number += 1
        reply = self._replies[self._number] = asyncio.get_running_loop().create_future()
        self.raw({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return self._number, reply

    async def request(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole reply."""
        return await asyncio.wait_for(self.begin(method, **params)[1], PATIENCE)

    async def result(self, method: str, **params: Any) -> Any:
        reply = await self.request(method, **params)
        assert "error" not in reply, reply
        return reply["result"]

    async def error(self, method: str, **params: Any) -> dict[str, Any]:
        error: dict[str, Any] = (await self.request(method, **params))["error"]
        return error

    async def start(self, capabilities: Any = GHOST, options: Any = None, root: Path | None = None) -> Any:
        folders = [{"uri": root.as_uri(), "name": root.name}] if root else None
        result = await self.result(
            "initialize", processId=None, rootUri=None, capabilities=capabilities, initializationOptions=options, workspaceFolders=folders
        )
        self.notify("initialized")
        await asyncio.wait_for(self.server.configuration.known.wait(), PATIENCE)
        return result

    def open(self, text: str, uri: str = "file:///project/a.py", language: str = "python") -> None:
        self.notify("textDocument/didOpen", textDocument={"uri": uri, "languageId": language, "version": 1, "text": text})

    def change(
        self, text: str, line: int, character: int, uri: str = "file:///project/a.py", version: int = 2, until: tuple[int, int] | None = None
    ) -> None:
        end = until or (line, character)
        span = {"start": {"line": line, "character": character}, "end": {"line": end[0], "character": end[1]}}
        self.notify("textDocument/didChange", textDocument={"uri": uri, "version": version}, contentChanges=[{"range": span, "text": text}])

    async def ghosts(self, line: int, character: int, uri: str = "file:///project/a.py", *, kind: int = 2, popup: Any = None) -> list[dict[str, Any]]:
        context = {"triggerKind": kind} | ({"selectedCompletionInfo": popup} if popup else {})
        found: list[dict[str, Any]] = (
            await self.result(
                "textDocument/inlineCompletion", textDocument={"uri": uri}, position={"line": line, "character": character}, context=context
            )
        )["items"]
        return found

    async def command(self, name: str, *arguments: Any) -> Any:
        return await self.result("workspace/executeCommand", command=name, arguments=list(arguments))

    def said(self, method: str) -> list[dict[str, Any]]:
        return [message["params"] for message in self.heard if message.get("method") == method]

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until `condition` is true; returns what it returned."""

        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while not (value := condition()):
            assert loop.time() < deadline, "it did not happen in time"
            await asyncio.sleep(0.002)
        return value


NewEditor = Callable[..., Editor]
