"""Streamed answers as JSON messages: server-sent events, read by httpx2, or one JSON value per line.

Tolerates servers that violate the standard. The first character decides the format, not the content type. Accepted are error lines without
`data:`, events without a blank line after them, and one JSON value instead of a stream. Data that is not a JSON object (`ping`, an empty line, a
comment) is a keep-alive and is skipped. Only broken JSON objects are errors: skipping one would lose text.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

LARGEST_LINE = 1024 * 1024
"""Bytes."""
DONE: dict[str, Any] = {"choices": [{"text": "", "finish_reason": "stop"}], "stop": True, "done": True}
"""The message for `[DONE]`, with the fields of every API."""


class NotUnderstood(ValueError):
    """The answer violates every supported API; the argument is its beginning."""


class EventError(ValueError):
    """An event named `error`; the argument is its data."""


async def messages(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON objects of a body that arrives in chunks. Raises NotUnderstood or EventError, and what the chunks raise."""
    first = await _first(chunks)
    told = False
    async with contextlib.aclosing(_values(first, chunks)) as values:
        async for value in values:
            for message in value if isinstance(value, list) else [value]:
                if isinstance(message, dict):
                    told = True
                    yield message
    if first.strip() and not told:
        raise NotUnderstood(first)


def _values(first: bytes, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[Any, None]:
    """The values of JSON lines if the body begins like JSON, else of server-sent events."""
    return _json_lines(first, chunks) if first.lstrip()[:1] in {b"{", b"["} else _events(first, chunks)


async def _first(chunks: AsyncGenerator[bytes, None]) -> bytes:
    """The beginning of the body, long enough to detect the format; without a byte order mark."""
    held = b""
    async for chunk in chunks:
        held += chunk
        if len(held) >= 3 and held.removeprefix(b"\xef\xbb\xbf").strip():
            break
    return held.removeprefix(b"\xef\xbb\xbf")


async def _json_lines(first: bytes, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[Any, None]:
    """One value per line. If the first line is not a value, all lines form one: servers that do not stream may indent their JSON."""
    begun = False
    async with contextlib.aclosing(_lines(first, chunks)) as arriving:
        async for lines in arriving:
            for number, line in enumerate(lines):
                value = decoded(line)
                if value is None and not begun and line.strip():
                    yield _whole(b"".join([*lines[number:], *[later async for more in arriving for later in more]]))
                    return
                if value is None and line.strip():
                    raise NotUnderstood(line)
                begun = begun or value is not None
                yield value


def _whole(body: bytes) -> Any:
    """The JSON value of a complete body. Raises NotUnderstood."""
    value = decoded(body)
    if value is None:
        raise NotUnderstood(body)
    return value


async def _events(first: bytes, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[Any, None]:
    """The data of server-sent events, parsed by httpx2."""
    import httpx2

    async with contextlib.aclosing(_standard(first, chunks)) as body:
        # the real content type is ignored, because proxies change it
        response = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body, request=httpx2.Request("POST", "http://stream"))
        async for event in httpx2.EventSource(response):
            data = event.data.strip()
            if data.upper() == "[DONE]":
                yield DONE
            elif event.event == "error":
                raise EventError(data)
            else:
                for value in _data(data):
                    yield value


async def _standard(first: bytes, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The stream in standard form: bare JSON and `error:` lines become data lines, and a blank line follows the last event."""
    async with contextlib.aclosing(_lines(first, chunks)) as arriving:
        async for lines in arriving:
            yield b"".join(
                b"\ndata:" + line.removeprefix(b"error:").rstrip() + b"\n\n" if line.startswith((b"{", b"error:")) else line for line in lines
            )
    yield b"\n\n"


def _data(data: str) -> list[Any]:
    """The values of one event: one value, or one per line if the server omits blank lines between events. Raises NotUnderstood."""
    whole = decoded(data)
    if whole is not None:
        return [whole]
    lines = [line.strip() for line in data.split("\n")]
    values = [DONE if line.upper() == "[DONE]" else decoded(line) for line in lines]
    for line, value in zip(lines, values, strict=True):
        if value is None and line.startswith("{"):
            raise NotUnderstood(line.encode("utf-8", "replace"))
    return values


async def _lines(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncGenerator[list[bytes], None]:
    """The complete lines after each chunk, with their newlines, and the rest at the end. Raises NotUnderstood for an endless line."""
    lines = _split(first)
    while True:
        held = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if lines:
            yield lines
        if len(held) > LARGEST_LINE:
            raise NotUnderstood(held)
        try:
            lines = _split(held + await chunks.__anext__())
        except StopAsyncIteration:
            break
    if held:
        yield [held]


def _split(data: bytes) -> list[bytes]:
    """Lines with their newlines; the text after the last newline comes last."""
    *whole, rest = data.split(b"\n")
    return [*(line + b"\n" for line in whole), *([rest] if rest else [])]


def decoded(data: bytes | str) -> Any:
    """The JSON value, or None if it is invalid. Surrogates that were escaped in separate messages are kept, to be joined later."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
