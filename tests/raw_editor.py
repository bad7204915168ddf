"""An editor that sends raw bytes to a real `infill lsp`, for messages that no client library sends, and for servers that may not respond."""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

COMMAND = ["-m", "infill", "lsp"]
PATIENCE = 60.0
"""Seconds after which a server counts as hanging. Far longer than the product's deadlines, because the machine may be busy."""
CAPABILITIES = {"textDocument": {"inlineCompletion": {}}, "window": {"workDoneProgress": False}}


class RawEditor:
    """Starts a server, or uses connected streams."""

    def __init__(self, *words: str, cwd: Path | None = None, streams: tuple[BinaryIO, BinaryIO] | None = None, program: str = "") -> None:
        self.process = None
        if streams is None:
            command = [sys.executable, *(["-c", program] if program else COMMAND), *words]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd, bufsize=0)
            assert self.process.stdin and self.process.stdout
            streams = (os.fdopen(os.dup(self.process.stdout.fileno()), "rb"), self.process.stdin)  # type: ignore[assignment]
        self._reading, self._writing = streams
        self._numbers = itertools.count(1)
        self._answers: dict[Any, dict[str, Any]] = {}
        self._arrived: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.notifications: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def send_raw(self, data: bytes) -> None:
        self._writing.write(data)
        self._writing.flush()

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.send_raw(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def notify(self, method: str, params: Any = None) -> None:
        self.send({"method": method, "params": params})

    def ask(self, method: str, params: Any = None, timeout: float = PATIENCE) -> dict[str, Any]:
        """The whole response, error or result. Raises TimeoutError."""
        number = next(self._numbers)
        self.send({"id": number, "method": method, "params": params})
        return self.answer(number, timeout)

    def answer(self, number: Any, timeout: float = PATIENCE) -> dict[str, Any]:
        while number not in self._answers:
            try:
                message = self._arrived.get(timeout=timeout)
            except queue.Empty:
                raise TimeoutError(f"no answer to {number!r}") from None
            if message is None:
                raise ConnectionError("the server closed the stream")
            if "method" in message:
                self.notifications.append(message)
                if "id" in message:
                    self.send({"id": message["id"], "result": None})
            else:
                self._answers[message.get("id")] = message
        return self._answers.pop(number)

    def command(self, name: str, *arguments: Any) -> Any:
        answer = self.ask("workspace/executeCommand", {"command": name, "arguments": list(arguments)})
        assert "error" not in answer, answer
        return answer["result"]

    def initialize(self, folder: Path | None = None, **params: Any) -> dict[str, Any]:
        folders = [{"uri": folder.as_uri(), "name": "work"}] if folder else None
        answer = self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": CAPABILITIES, "workspaceFolders": folders, **params})
        self.notify("initialized", {})
        return answer

    def open(self, uri: str, text: str, language: str = "python") -> None:
        self.notify("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": language, "version": 1, "text": text}})

    def complete(self, uri: str, line: int, character: int) -> dict[str, Any]:
        where = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
        return self.ask("textDocument/inlineCompletion", {**where, "context": {"triggerKind": 1}})

    def leave(self) -> int:
        """Send shutdown and exit; returns the process's exit code."""
        assert self.process is not None
        assert self.ask("shutdown")["result"] is None
        self.notify("exit")
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout, self._reading):
                if stream is not None:
                    stream.close()

    def _read(self) -> None:
        try:
            while (message := _message(self._reading)) is not None:
                self._arrived.put(message)
        except (OSError, ValueError):
            pass
        self._arrived.put(None)


def _message(stream: BinaryIO) -> dict[str, Any] | None:
    length = 0
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    body = stream.read(length) if length else b""
    message: dict[str, Any] | None = json.loads(body) if body else None
    return message


NewRawEditor = Callable[..., RawEditor]
