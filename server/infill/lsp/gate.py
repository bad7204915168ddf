"""Selects the connection to a listening socket that is served as the editor. Until then every connection is untrusted.

A web page can send a POST to a local port, another user can connect to it, and a port scan opens and closes it. So the first message must be LSP's
`initialize`; over TCP it must contain a one-time secret in `initializationOptions.secret`. Other connections are closed with a reason, and listening
continues. Each connection is checked in its own thread with a timeout, so that a slow one does not block others.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import io
import json
import logging
import queue
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

from infill.engine import transport
from infill.lsp import stream

FIRST_SECONDS = 10.0
"""Timeout for a connection's first message."""
LARGEST_FIRST = 4 * 1024 * 1024
"""Largest size of `initialize` in bytes."""
MOST_AT_ONCE = 32
"""Connections that are checked at the same time."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors for lack of resources, which closing other connections frees."""
EXHAUSTED_SECONDS = 0.1
LSP = b"content-"
"""Start of LSP's first header, in lower case: `Content-Length` or `Content-Type`."""
INVALID_REQUEST = -32600

logger = logging.getLogger(__name__)


class Refused(Exception):
    """Why a connection was refused, as a sentence."""


class Gate:
    """Accepts connections until one of them is from an editor."""

    def __init__(self, listener: socket.socket, secret: str = "") -> None:
        """`secret` must be in `initialize`; empty: none is needed, because the system reports the user that connects."""
        self._listener = listener
        self._secret = secret
        self._free = threading.Semaphore(MOST_AT_ONCE)
        self._one = threading.Lock()
        """Acquired once and never released, by the thread that accepted the editor's connection."""
        self._found: queue.SimpleQueue[tuple[socket.socket, BinaryIO] | OSError] = queue.SimpleQueue()

    def editor(self) -> tuple[socket.socket, BinaryIO]:
        """The first editor's connection, and its input stream including the first message. Raises OSError if the listener fails."""
        threading.Thread(target=self._accept, name="lsp-accept", daemon=True).start()
        found = self._found.get()
        if isinstance(found, OSError):
            raise found
        hang_up(self._listener)
        return found

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except ConnectionError:  # it was closed before it was accepted; some systems raise this
                continue
            except OSError as exc:
                if exc.errno in EXHAUSTED:
                    time.sleep(EXHAUSTED_SECONDS)
                    continue
                self._found.put(exc)
                return
            if self._free.acquire(blocking=False):
                threading.Thread(target=self._look, args=(connection,), name="lsp-gate", daemon=True).start()
            else:
                connection.close()

    def _look(self, connection: socket.socket) -> None:
        alarm = threading.Timer(FIRST_SECONDS, hang_up, (connection,))
        alarm.daemon = True
        alarm.start()
        try:
            first, rest = self._first(connection)
            if not self._one.acquire(blocking=False):
                raise Refused("Another editor is connected already.")
            alarm.cancel()
            self._found.put((connection, _after(first, rest)))
        except (Refused, OSError, ValueError, RecursionError) as exc:
            logger.warning("a connection was refused: %s", exc if isinstance(exc, Refused) else type(exc).__name__)
            _refuse(connection, str(exc) if isinstance(exc, Refused) else "The first message is not LSP's initialize.")
            hang_up(connection)
            connection.close()
        finally:
            alarm.cancel()
            self._free.release()

    def _first(self, connection: socket.socket) -> tuple[bytes, BinaryIO]:
        """The first message without the secret, and the rest of the stream. Raises Refused, OSError, ValueError, RecursionError."""
        if transport.is_another_user(peer_user(connection)):
            raise Refused("The connection belongs to another user.")
        reading: BinaryIO = connection.makefile("rb")
        for expected in LSP:  # byte by byte: refuses other protocols at the first wrong byte
            if reading.read(1).lower() != bytes([expected]):
                raise Refused("The connection does not speak LSP.")
        whole = _after(LSP, reading)
        body = next(stream.frames(whole, LARGEST_FIRST), b"")
        return _framed(self._checked(json.loads(body))), whole

    def _checked(self, message: Any) -> Any:
        if not isinstance(message, dict) or message.get("method") != "initialize":
            raise Refused("The first message is not LSP's initialize.")
        params = message.get("params")
        options = params.get("initializationOptions") if isinstance(params, dict) else None
        said = options.pop("secret", "") if isinstance(options, dict) else ""
        if self._secret and not (isinstance(said, str) and hmac.compare_digest(said.encode("utf-8", "replace"), self._secret.encode())):
            raise Refused("initializationOptions.secret is not the secret that `infill lsp` printed when it started.")
        return message


def peer_user(connection: socket.socket) -> int | None:
    """The peer's user id for Unix sockets and, on Linux, for local TCP connections; None if the system does not report it."""
    if (user := transport.peer_user(connection)) is not None:
        return user
    if not sys.platform.startswith("linux") or connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    ours, theirs = connection.getsockname()[1], connection.getpeername()[1]
    with contextlib.suppress(OSError, ValueError, IndexError):
        for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                # columns: local address, remote address, ..., user; in the peer's row our port is the remote one
                if int(fields[1].rpartition(":")[2], 16) == theirs and int(fields[2].rpartition(":")[2], 16) == ours:
                    return int(fields[7])
    return None


def hang_up(connection: socket.socket) -> None:
    """Shut a connection down in both directions; a thread that reads from it returns."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _refuse(connection: socket.socket, why: str) -> None:
    with contextlib.suppress(OSError):
        connection.settimeout(1)
        connection.sendall(_framed({"jsonrpc": "2.0", "id": None, "error": {"code": INVALID_REQUEST, "message": why}}))


def _framed(message: Any) -> bytes:
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class _After(io.RawIOBase):
    """A stream: `first`, then the rest of another stream."""

    def __init__(self, first: bytes, rest: Any) -> None:
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._first:
            return int(self._rest.readinto1(buffer))
        taken, self._first = self._first[: len(buffer)], self._first[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        self._rest.close()
        super().close()


def _after(first: bytes, rest: BinaryIO) -> BinaryIO:
    return io.BufferedReader(_After(first, rest))
