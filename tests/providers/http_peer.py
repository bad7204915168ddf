"""An HTTP/1.1 server on loopback for tests, small enough that a test can say what goes over the wire byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import Self


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """A reply to write. `gone` is set when the client closes the connection."""

    writer: asyncio.StreamWriter
    gone: asyncio.Event

    async def head(self, status: int = 200, kind: str = "application/json", length: int | None = None, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Said", f"content-type: {kind}"]
        lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def whole(self, value: Any, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        await self.head(status, kind, len(data), **headers)
        await self.raw(data)

    async def events(self, *messages: Any, done: bool = True) -> None:
        """A stream of server-sent events."""
        await self.head(kind="text/event-stream")
        for message in messages:
            await self.chunk(b"data: " + json.dumps(message).encode() + b"\n\n")
        if done:
            await self.chunk(b"data: [DONE]\n\n")
        await self.end()

    async def lines(self, *messages: Any) -> None:
        """A stream of JSON lines."""
        await self.head(kind="application/x-ndjson")
        for message in messages:
            await self.chunk(json.dumps(message).encode() + b"\n")
        await self.end()


Handler = Callable[[Request, Answer], Awaitable[None]]


@dataclass
class Peer:
    """A server that answers through `handler` and remembers what it was asked."""

    handler: Handler
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    left_early: asyncio.Event = field(default_factory=asyncio.Event)
    """A client closed its connection while it was being answered."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while (request := await read_request(reader)) is not None:
                self.requests.append(request)
                await self._answer(request, reader, writer)
        writer.close()
        with contextlib.suppress(Exception):
            await writer.wait_closed()

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = Answer(writer, asyncio.Event())
        work = asyncio.ensure_future(self.handler(request, answer))
        watch = asyncio.ensure_future(_until_gone(reader, writer))
        try:
            await asyncio.wait([work, watch], return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self.left_early.set()
                answer.gone.set()
        finally:
            watch.cancel()
            work.cancel()
            await asyncio.gather(watch, work, return_exceptions=True)
        if writer.is_closing():
            raise ConnectionError


async def _until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not reader.at_eof() and not writer.is_closing() and reader.exception() is None:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)
