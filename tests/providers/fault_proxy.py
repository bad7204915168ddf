"""A TCP proxy on loopback that does to a connection what networks and broken servers do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from http_peer import read_request
from typing_extensions import Self

FAULTS = (
    "fine", "refused", "reset", "reset halfway", "black hole", "slow first byte", "slow stream", "byte by byte", "cut off", "garbage", "garbage json",
    "web page", "error page", "busy", "endless text", "endless silence", "redirect", "too many requests", "no length", "bomb",
)  # fmt: skip
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PAGE = b"<!doctype html><html><head><title>Log in to the network</title></head><body>\x1b[31mhello</body></html>"


def _reply(status: str, body: bytes, kind: str = "text/html", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", "connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


CANNED = {
    "garbage": b"\x00\xff\x17SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "garbage json": _reply("200 OK", b'data: {"content": "a", "stop": fal\n\ndata: ]]]\n\n', "text/event-stream"),
    "web page": _reply("200 OK", PAGE),
    "error page": _reply("502 Bad Gateway", PAGE),
    "busy": _reply("503 Service Unavailable", b'{"error": {"code": 503, "message": "Loading model"}}', "application/json"),
    "redirect": _reply("307 Temporary Redirect", b"", "text/plain", "location: http://elsewhere.invalid/infill?key=secret"),
    "too many requests": _reply("429 Too Many Requests", b'{"error": {"message": "slow down"}}', "application/json", "retry-after: 1"),
    "no length": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"content\": \"a",
    "bomb": b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 20\r\n\r\n" + b"\x1f\x8b" + b"\x00" * 18,
}  # fmt: skip


class FaultProxy:
    """Stands before a server; `fault()` says what the next connection meets."""

    def __init__(self, port: int, fault: Callable[[], str], *, delay: float = 0.02) -> None:
        self._upstream = port
        self._fault = fault
        self._delay = delay
        self._tasks: set[asyncio.Task[None]] = set()
        self.met: list[str] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        fault = self._fault()
        self.met.append(fault)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._meet(fault, reader, writer)
        writer.close()
        with contextlib.suppress(Exception):
            await writer.wait_closed()

    async def _meet(self, fault: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if fault in {"refused", "reset"}:
            return _reset(writer)
        request = await read_request(reader)
        assert request is not None
        if fault == "black hole":
            await asyncio.Event().wait()
        elif fault in CANNED:
            writer.write(CANNED[fault])
            await writer.drain()
        elif fault.startswith("endless"):
            await self._endless(fault, writer)
        else:
            lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in request.headers.items())]
            await self._forward(fault, ("\r\n".join(lines) + "\r\n\r\n").encode() + request.body, writer)
        return None

    async def _endless(self, fault: str, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM)
        data = b'data: {"content": "' + b"x" * 4000 + b'", "stop": false}\n\n' if fault == "endless text" else b": ping" + b"\n" * 4000
        while True:
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)

    async def _forward(self, fault: str, request: bytes, writer: asyncio.StreamWriter) -> None:
        upstream, sink = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            sink.write(request)
            if fault == "slow first byte":
                for _ in range(5):
                    await asyncio.sleep(self._delay)
            given, limit = 0, {"reset halfway": 260, "cut off": 230}.get(fault, 1 << 30)
            while not upstream.at_eof() and given < limit:
                data = (await upstream.read(1 if fault in {"slow stream", "byte by byte"} else 65536))[: limit - given]
                given += len(data)
                writer.write(data)
                await writer.drain()
                if data.endswith(b"0\r\n\r\n"):
                    break
                if fault == "slow stream":
                    await asyncio.sleep(self._delay / 4)
            if fault == "reset halfway":
                _reset(writer)
        finally:
            sink.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, so that the other side sees an error and no end."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
