"""Minimal HTTP client for llama-server on loopback. No client library, so that only the server's time is measured."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from infill.errors import InfillError

OK = 200


async def post(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a POST request; returns the JSON reply. Raises OSError, or InfillError for an error reply."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    status, answer = await _exchange(port, head.encode() + content)
    if status != OK:
        raise InfillError(f"llama-server answered {status}: {answer[:300].decode('utf-8', 'replace')}")
    found = json.loads(answer)
    return found if isinstance(found, dict) else {}


async def get(port: int, path: str) -> str | None:
    """Get a page; None if it is not available."""
    try:
        status, page = await _exchange(port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    except OSError:
        return None
    return page.decode("utf-8", "replace") if status == OK else None


async def _exchange(port: int, request: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    try:
        writer.write(request)
        await writer.drain()
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    parts = head.split(b" ", 2)
    if len(parts) < 2:
        raise ConnectionError("llama-server closed the connection.")
    if b"chunked" in head.lower():
        body = _unchunked(body)
    return int(parts[1]), body


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        whole, body = whole + rest[:length], rest[length + 2 :]
        if not length:
            break
    return whole
