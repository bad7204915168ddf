"""Just enough of an editor to ask a language server over stdio, with nothing between the test and the wire."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class Editor:
    """Just enough of an editor."""

    async def start(self, folder: Path, options: Any = None) -> Any:
        """Begin a session; what the server says that it can."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "infill", "lsp", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder, limit=1 << 24
        )
        self.count = 0
        self.told: list[Any] = []
        workspace = {"uri": folder.as_uri(), "name": "work"}
        capabilities = {"textDocument": {"inlineCompletion": {}, "completion": {}}, "workspace": {"configuration": True, "workspaceFolders": True}}
        parameters = {"processId": None, "rootUri": workspace["uri"], "workspaceFolders": [workspace], "capabilities": capabilities}
        server = await self.ask("initialize", {**parameters, **({"initializationOptions": options} if options else {})})
        self.tell("initialized", {})
        return server

    def open(self, file: Path) -> None:
        document = {"uri": file.as_uri(), "languageId": "python", "version": 1, "text": file.read_text()}
        self.tell("textDocument/didOpen", {"textDocument": document})

    def change(self, file: Path, version: int, text: str) -> None:
        self.tell("textDocument/didChange", {"textDocument": {"uri": file.as_uri(), "version": version}, "contentChanges": [{"text": text}]})

    async def complete(self, file: Path, line: int, character: int) -> Any:
        place = {"textDocument": {"uri": file.as_uri()}, "position": {"line": line, "character": character}, "context": {"triggerKind": 1}}
        return await self.ask("textDocument/inlineCompletion", place)

    async def command(self, name: str, argument: Any = None) -> Any:
        return await self.ask("workspace/executeCommand", {"command": name, "arguments": [] if argument is None else [argument]})

    async def leave(self) -> None:
        await self.ask("shutdown", None)
        self.tell("exit", None)
        await self.process.wait()

    def tell(self, method: str, params: Any, number: int | None = None) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params, **({} if number is None else {"id": number})}
        self.write(message)

    def write(self, message: Any) -> None:
        body = json.dumps(message).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def ask(self, method: str, params: Any) -> Any:
        self.count += 1
        self.tell(method, params, self.count)
        while True:
            message = await asyncio.wait_for(self.read(), 120)
            if message.get("id") == self.count and "method" not in message:
                return message.get("result", message.get("error"))
            if "id" not in message:
                self.told.append(message)
            else:
                self.write({"jsonrpc": "2.0", "id": message["id"], "result": [None] if message["method"] == "workspace/configuration" else None})

    async def read(self) -> Any:
        assert self.process.stdout is not None
        head = await self.process.stdout.readuntil(b"\r\n\r\n")
        return json.loads(await self.process.stdout.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])))
