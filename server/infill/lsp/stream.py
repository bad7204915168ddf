"""Bytes in, messages out: LSP's frames over any pair of byte streams (stdio, a Unix socket, TCP). Knows nothing of what the messages say.

One thread reads and one writes, so that the event loop never waits for an editor. Both hold a bounded number of bytes: an editor that sends faster
than its messages are handled is read more slowly, and one that does not read what it is sent is given up.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

LARGEST_MESSAGE = 512 * 1024 * 1024
"""Bytes: beyond this a length is taken for a mistake."""
LONGEST_HEADER = 64 * 1024
MOST_HEADERS = 64
"""Header lines of one message."""
MOST_UNHANDLED = 64
"""Messages that were read and not handled yet, after which reading waits: what handling them needs exists all at once, 10 MB for 1,000 documents."""
MOST_UNREAD = 64 * 1024 * 1024
"""Bytes that may wait for an editor that does not read."""
CLOSING_SECONDS = 1.0
"""How long closing waits for what is still to be written."""

logger = logging.getLogger(__name__)


def frames(stream: BinaryIO, largest: int = LARGEST_MESSAGE) -> Iterator[bytes]:
    """The bodies of the messages in `stream`, until it ends; b"" stands for a header that makes no sense, or more than `largest` bytes."""
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
    """Bytes of the body; 0 for a length that makes no sense."""
    text = header.get("content-length", "")
    # int() refuses thousands of digits with an exception of its own
    length = int(text) if text.isdecimal() and len(text) < 20 else 0
    return length if length <= largest else 0


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


class Inbox:
    """Hands messages from the thread that reads to the event loop, and holds that thread while too many wait."""

    def __init__(self, call: Callable[[Callable[[bytes], None], bytes], object], handle: Callable[[bytes], None]) -> None:
        self._call = call
        self._handle = handle
        self._free = threading.Semaphore(MOST_UNHANDLED)

    def put(self, body: bytes) -> None:
        """Called in the thread that reads."""
        self._free.acquire()
        self._call(self._take, body)

    def _take(self, body: bytes) -> None:
        self._free.release()
        self._handle(body)


class Writer:
    """What pygls writes to; a thread does the writing. Never waits and never raises: an editor that is gone, or does not read, is noticed once."""

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
        """Write what waits, within CLOSING_SECONDS. Blocks: only for the end of the process."""
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
