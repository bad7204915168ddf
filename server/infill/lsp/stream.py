"""Bytes in, messages out: LSP's frames over any pair of byte streams (stdio, a Unix socket, TCP). Knows nothing of what the messages say.

One thread reads, so that neither the event loop nor a slow editor ever waits for the other.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

LARGEST_MESSAGE = 512 * 1024 * 1024
"""Bytes: beyond this a length is taken for a mistake, and the connection is given up."""
LONGEST_HEADER = 64 * 1024

logger = logging.getLogger(__name__)


def frames(stream: BinaryIO) -> Iterator[bytes]:
    """The bodies of the messages in `stream`, until it ends; b"" stands for a header that makes no sense."""
    while (header := _header(stream)) is not None:
        length = header.get("content-length", "")
        if not length.isdecimal() or int(length) > LARGEST_MESSAGE:
            yield b""
            continue
        body = stream.read(int(length))
        if len(body) < int(length):
            return
        yield body


def _header(stream: BinaryIO) -> dict[str, str] | None:
    fields: dict[str, str] = {}
    while line := stream.readline(LONGEST_HEADER):
        text = line.decode("latin-1").strip()
        if text:
            name, _, value = text.partition(":")
            fields[name.strip().lower()] = value.strip()
        elif fields:
            return fields
    return None


def read_in_thread(stream: BinaryIO, deliver: Callable[[bytes], object], ended: Callable[[], object]) -> None:
    """Hand every message of `stream` to `deliver`, then call `ended`; both are called in the reading thread."""

    def read() -> None:
        # a closed pipe, a reset connection, a loop that is gone: all of them the end of the conversation
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            for body in frames(stream):
                deliver(body)
        with contextlib.suppress(RuntimeError):
            ended()

    threading.Thread(target=read, name="lsp-reader", daemon=True).start()


class Writer:
    """What pygls writes to. An editor that went away is noticed once, and never raises into whoever had something to say."""

    def __init__(self, stream: BinaryIO, gone: Callable[[], None]) -> None:
        self._stream = stream
        self._gone = gone
        self._open = True

    def write(self, data: bytes) -> None:
        if not self._open:
            return
        try:
            self._stream.write(data)
            self._stream.flush()
        except (OSError, ValueError):
            logger.info("the editor is gone")
            self._open = False
            self._gone()

    def close(self) -> None:
        self._open = False
