"""A llama-server on loopback with predictable answers: the length of the line before the cursor, or `WRITTEN` for a chat request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

WRITTEN = "size = os.path.getsize(path)"


def says(line: str) -> str:
    """The answer after that line; its first letter is never typed by the tests."""
    return f"gx{len(line)}"


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[str]:
    """The server's URL; it listens inside the block."""
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
            body = await reader.readexactly(length)
            writer.write(_answer(head.split(b" ")[1], body))
            await writer.drain()
    writer.close()


def _answer(path: bytes, body: bytes) -> bytes:
    if path == b"/v1/chat/completions":
        kind, reply = "text/event-stream", _chat()
    elif path == b"/infill":
        kind, reply = "text/event-stream", _events(json.loads(body)["input_prefix"].rpartition("\n")[2])
    else:
        kind, reply = "application/json", json.dumps({"data": [{"id": "far"}, {"id": "big"}]}).encode()
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(reply)}\r\n\r\n".encode() + reply


def _events(line: str) -> bytes:
    said = [{"index": 0, "content": piece, "stop": False} for piece in (says(line)[:2], says(line)[2:])]
    last = {"index": 0, "content": "", "stop": True, "stop_type": "eos", "tokens_predicted": 2, "timings": {"prompt_n": 4, "predicted_n": 2}}
    return b"".join(b"data: " + json.dumps(message).encode() + b"\n\n" for message in (*said, last))


def _chat() -> bytes:
    said = [{"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in ("```python\n", WRITTEN, "\n```")]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return b"".join(b"data: " + json.dumps(message).encode() + b"\n\n" for message in (*said, last)) + b"data: [DONE]\n\n"
