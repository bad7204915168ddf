"""LSP's message frames over a pair of byte streams (stdio, Unix socket, TCP). Independent of the messages' content.

One thread reads and one writes, so that the event loop never waits for the editor. Both queues are bounded. Reading pauses while too many messages
wait; the connection ends if the editor does not read.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

LARGEST_MESSAGE = 512 * 1024 * 1024
"""Largest body in bytes; a greater length is treated as invalid."""
LONGEST_HEADER = 64 * 1024
MOST_HEADERS = 64
"""Maximum number of header lines of a message."""
MOST_UNHANDLED = 64
"""Number of unhandled messages at which reading pauses. It bounds the memory for handling them: 10 MB for 1,000 documents."""
MOST_UNREAD = 64 * 1024 * 1024
"""Largest number of bytes that wait for the editor to read them."""
CLOSING_SECONDS = 1.0
"""How long closing waits for queued messages to be written."""

logger = logging.getLogger(__name__)


def frames(stream: BinaryIO, largest: int = LARGEST_MESSAGE) -> Iterator[bytes]:
    """The bodies of the messages in `stream`, until it ends; b"" for an invalid header or a body of more than `largest` bytes."""
    while (header := _header(stream)) is not None:
        length = _length(header, largest)
        body = stream.read(length)
        if len(body) < length:
            return
        yield body


def _header(stream: BinaryIO) -> dict[str, str] | None:
    fields: dict[str, str] = {}
    for _ in range(MOST_HEADERS):
        line = stream.readline(LONGEST_HEADER)
        if not line:
            return None
        text = line.decode("latin-1").strip()
        if text:
            name, _, value = text.partition(":")
            fields[name.strip().lower()] = value.strip()
        elif fields:
            return fields
    return {}


def _length(header: dict[str, str], largest: int) -> int:
    """Length of the body in bytes; 0 for an invalid length."""
    text = header.get("content-length", "")
    # int() raises ValueError for thousands of digits
    length = int(text) if text.isdecimal() and len(text) < 20 else 0
    return length if length <= largest else 0


def read_in_thread(stream: BinaryIO, deliver: Callable[[bytes], object], ended: Callable[[], object]) -> None:
    """Call `deliver` with each message of `stream`, then `ended`; both in the reading thread."""

    def read() -> None:
        # a closed pipe, a reset connection or a closed event loop: each ends the connection
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            for body in frames(stream):
                deliver(body)
        with contextlib.suppress(RuntimeError):
            ended()

    threading.Thread(target=read, name="lsp-reader", daemon=True).start()


class Inbox:
    """Passes messages from the reading thread to the event loop, and blocks that thread while too many wait."""

    def __init__(self, call: Callable[[Callable[[bytes], None], bytes], object], handle: Callable[[bytes], None]) -> None:
        self._call = call
        self._handle = handle
        self._free = threading.Semaphore(MOST_UNHANDLED)

    def put(self, body: bytes) -> None:
        """Queue a message; called in the reading thread."""
        self._free.acquire()
        self._call(self._take, body)

    def _take(self, body: bytes) -> None:
        self._free.release()
        self._handle(body)


class Writer:
    """The writer for pygls; a thread writes to the stream. Never blocks or raises. `gone` is called if the editor disconnects or does not read."""

    def __init__(self, stream: BinaryIO, gone: Callable[[], object]) -> None:
        """`gone` is called in any thread."""
        self._stream = stream
        self._gone = gone
        self._open = True
        self._unread = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="lsp-writer", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        if not self._open:
            return
        with self._lock:
            self._unread += len(data)
        if self._unread > MOST_UNREAD:
            self._give_up("the editor does not read what it is sent")
        else:
            self._queue.put(data)

    def close(self) -> None:
        """Write queued messages, within CLOSING_SECONDS. Blocks, so call it only at the end of the process."""
        self._open = False
        self._queue.put(b"")
        self._thread.join(CLOSING_SECONDS)

    def _write_all(self) -> None:
        while data := self._queue.get():
            try:
                self._stream.write(data)
                self._stream.flush()
            except (OSError, ValueError):
                self._give_up("the editor is gone")
                return
            with self._lock:
                self._unread -= len(data)

    def _give_up(self, why: str) -> None:
        logger.info("%s", why)
        self._open = False
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._gone()
