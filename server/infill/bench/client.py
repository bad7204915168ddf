"""A minimal language client: JSON-RPC over a child's stdin and stdout, so that the bench measures what an editor sees.

Times are taken when a message is complete. Requests from the server get default replies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from infill.errors import InfillError

LEAVE_SECONDS = 5.0
"""Seconds until the server must have exited after `exit`."""


class Client:
    """The connection to a language server that it started."""

    def __init__(self, process: asyncio.subprocess.Process, settings: dict[str, Any], log: Any) -> None:
        self.process, self.settings, self._log = process, settings, log
        self.on_notification: Callable[[str, Any], None] = lambda method, params: None
        self._next = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command: Sequence[str], environment: Mapping[str, str], settings: dict[str, Any], log: Path) -> Client:
        """Start a server. `settings` is the reply to its configuration request; stderr is written to `log`."""
        stream = log.open("ab")
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=stream, env=dict(environment), limit=1 << 26
        )
        return cls(process, settings, stream)

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, params: Any) -> tuple[int, asyncio.Future[Any]]:
        """Send a request; returns its id, for cancellation, and a future with (the result, the time it arrived)."""
        self._next += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._next] = answer
        self._send({"id": self._next, "method": method, "params": params})
        return self._next, answer

    async def ask(self, method: str, params: Any, seconds: float = 60.0) -> Any:
        """Send a request and wait for the result. Raises InfillError for an error reply or a timeout."""
        _, answer = self.request(method, params)
        try:
            result, _ = await asyncio.wait_for(answer, seconds)
        except asyncio.TimeoutError as exc:
            raise InfillError(f"The server did not answer {method} within {seconds:.0f} s.") from exc
        return result

    def cancel(self, number: int) -> None:
        self.notify("$/cancelRequest", {"id": number})

    async def initialize(self, capabilities: dict[str, Any], folder: Path) -> Any:
        """Initialize the server."""
        params = {
            "processId": None,
            "clientInfo": {"name": "infill bench"},
            "rootUri": folder.as_uri(),
            "workspaceFolders": [{"uri": folder.as_uri(), "name": folder.name}],
            "capabilities": capabilities,
            "initializationOptions": self.settings,
        }
        result = await self.ask("initialize", params)
        self.notify("initialized", {})
        return result

    async def aclose(self) -> None:
        """Shut down the server and stop its process."""
        with contextlib.suppress(InfillError, OSError):
            await self.ask("shutdown", None, LEAVE_SECONDS)
            self.notify("exit", None)
        try:
            await asyncio.wait_for(self.process.wait(), LEAVE_SECONDS)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.process.wait()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        self._log.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        with contextlib.suppress(OSError):
            self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    async def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            while True:
                head = await self.process.stdout.readuntil(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
                body = await self.process.stdout.readexactly(length)
                self._take(json.loads(body), time.perf_counter())
        except (asyncio.IncompleteReadError, ConnectionError):
            self._fail("The language server exited.")

    def _take(self, message: dict[str, Any], at: float) -> None:
        if "method" not in message:
            answer = self._waiting.pop(message["id"], None)
            if answer is None or answer.done():
                return
            if "error" in message:
                answer.set_exception(InfillError(f"The server answered: {message['error'].get('message', 'an error')}"))
            else:
                answer.set_result((message.get("result"), at))
        elif "id" in message:
            self._send({"id": message["id"], "result": self._answer(message["method"], message.get("params"))})
        else:
            self.on_notification(message["method"], message.get("params"))

    def _answer(self, method: str, params: Any) -> Any:
        if method == "workspace/configuration":
            return [self.settings if item.get("section") in (None, "", "infill") else None for item in params["items"]]
        return None

    def _fail(self, why: str) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(InfillError(why))
        self._waiting.clear()
