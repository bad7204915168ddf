"""Frames over a socket, and the location of the socket, for both sides of the engine protocol.

The socket is a Unix socket in the user's private runtime directory. On Windows (or with `INFILL_TRANSPORT=tcp`) it is a loopback port with a
secret token, both in the status file. Only the owner can read that file, and it is valid only while the engine that wrote it runs. This module
does not interpret messages. An invalid or too long frame ends only its own connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import msgspec

from infill import __version__, paths, state
from infill.engine import protocol

LOOPBACK = "127.0.0.1"
BACKLOG = 64 * 1024 * 1024
"""Bytes that may be queued for a peer that does not read, before the connection is closed."""
ALREADY_RUNNING = 73
"""Exit code of an engine that found another one running. Not 3, which is also the exit code of abort() on Windows."""
WAITING = 1024
"""Connections that the kernel queues until the engine accepts them; further ones are refused at once."""
WORDS_BYTES = 64 * 1024
"""Number of bytes read from the end of an engine's stderr file."""
HEADER = struct.Struct(">I")

Expected = TypeVar("Expected")


class BadFrame(Exception):
    """Received data is not a valid message: too long, truncated, or not as the protocol defines."""


class Place(msgspec.Struct, frozen=True):
    """File names of the one engine of this user and version. Every name contains the version, so that versions never interfere."""

    directory: Path
    kind: Literal["unix", "tcp"]

    def _named(self, ending: str) -> Path:
        return self.directory / f"engine-{__version__}-{protocol.VERSION}.{ending}"

    @property
    def socket(self) -> Path:
        return self._named("sock")

    @property
    def status(self) -> Path:
        """The status file: written only by the engine."""
        return self._named("json")

    @property
    def door(self) -> Path:
        """The file through which clients find the engine."""
        return self.socket if self.kind == "unix" else self.status

    @property
    def life_lock(self) -> Path:
        """Locked by the engine while it runs."""
        return self._named("lock")

    @property
    def start_lock(self) -> Path:
        """Locked by the process that is starting an engine."""
        return self._named("start")

    @property
    def stderr(self) -> Path:
        """The engine's stderr."""
        return self._named("stderr")

    @property
    def stderr_before(self) -> Path:
        """The stderr of the previous engine."""
        return self._named("stderr-before")

    @property
    def computing(self) -> Path:
        """The model that the engine computes with; see `crashes`."""
        return self._named("computing")


class EngineFile(msgspec.Struct, frozen=True, kw_only=True):
    """The status file: the engine's process and its address."""

    pid: int
    started: float
    """Seconds since the epoch."""
    port: int = 0
    token: str = ""
    """TCP only: the shared secret."""
    stderr: tuple[int, int] = (0, 0)
    """Identity of the engine's stderr file."""


def file_identity(file: Path | int) -> tuple[int, int]:
    """Identity of a file or an open descriptor, independent of its current name. Raises OSError."""
    status = os.stat(file)  # noqa: PTH116 - a descriptor is no path
    return status.st_dev, status.st_ino


def place() -> Place:
    """The location for this user's engine. Creates nothing."""
    tcp = sys.platform == "win32" or os.environ.get("INFILL_TRANSPORT") == "tcp"
    return Place(paths.runtime_directory(), "tcp" if tcp else "unix")


def read_status(where: Place) -> EngineFile | None:
    """The content of the status file; its engine may have exited."""
    return state.read(where.status, EngineFile)


class Lock:
    """A lock between processes: a file that one of them locks. Released when its holder exits, for any reason."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Acquire it if it is free. Raises OSError if the file cannot be opened for writing."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        """Release the lock; the file stays, because another process may be about to lock it."""
        if self._descriptor is not None:
            _unlock(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    """Unlock explicitly: Windows unlocks a closed file at some later time (documentation of LockFile). Other systems unlock it at once."""
    if sys.platform == "win32":
        import msvcrt

        with contextlib.suppress(OSError):
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)


def engine_lives(where: Place) -> bool:
    """Whether an engine holds the life lock. Without the lock the status file is from a crashed engine, and another program may use its port."""
    lock = Lock(where.life_lock)
    try:
        return where.life_lock.exists() and not lock.acquire()
    except OSError:
        return False
    finally:
        lock.release()


class Connection(Generic[Expected]):
    """Messages in both directions over one stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, expected: Any) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder: msgspec.msgpack.Decoder[Expected] = msgspec.msgpack.Decoder(expected)
        self._encoder = msgspec.msgpack.Encoder()

    async def receive(self) -> Expected | None:
        """The next message; None if the peer has closed the connection. Raises BadFrame."""
        try:
            head = await self._reader.readexactly(HEADER.size)
        except asyncio.IncompleteReadError as exc:
            if exc.partial:
                raise BadFrame("cut short") from exc
            return None
        except OSError:
            return None
        (length,) = HEADER.unpack(head)
        if length > protocol.MAX_FRAME:
            raise BadFrame(f"{length} bytes are too many")
        try:
            return self._decoder.decode(await self._reader.readexactly(length))
        except (msgspec.MsgspecError, UnicodeDecodeError, asyncio.IncompleteReadError, OSError, RecursionError) as exc:
            raise BadFrame(str(exc)) from exc

    def send(self, message: protocol.Frame) -> None:
        """Send a message without waiting. Raises BadFrame if it is too long, UnicodeEncodeError for invalid Unicode."""
        payload = self._encoder.encode(message)
        if len(payload) > protocol.MAX_FRAME:
            raise BadFrame(f"{len(payload)} bytes are too many")
        if self._writer.is_closing():
            return
        self._writer.write(HEADER.pack(len(payload)) + payload)
        if self._writer.transport.get_write_buffer_size() > BACKLOG:
            self._writer.transport.abort()

    def peer_user(self) -> int | None:
        """The user id of the peer, if the system provides it."""
        return peer_user(self._writer.get_extra_info("socket"))

    async def aclose(self) -> None:
        """Send the remaining data and close, with a short timeout."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), timeout=1)
        except (OSError, asyncio.TimeoutError):
            self._writer.transport.abort()

    def abort(self) -> None:
        """Close at once."""
        self._writer.transport.abort()


def peer_user(sock: Any) -> int | None:
    """The user id of a Unix socket's peer; None if the system does not provide it (TCP, Windows)."""
    if sock is None or sys.platform == "win32" or sock.family != socket.AF_UNIX:
        return None
    if hasattr(socket, "SO_PEERCRED"):
        _, user, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(user)
    return _peer_user_of_bsd(sock)


def is_another_user(user: int | None) -> bool:
    """Whether a result of `peer_user` differs from the user of this process; False for None."""
    return sys.platform != "win32" and user is not None and user != os.getuid()


def _peer_user_of_bsd(sock: Any) -> int | None:
    # struct xucred of macOS and the BSDs: version, uid, ...; SOL_LOCAL is 0, LOCAL_PEERCRED is 1
    with contextlib.suppress(OSError):
        return int(struct.unpack("2I", sock.getsockopt(0, 1, 8))[1])
    return None


async def connect(where: Place) -> tuple[Connection[protocol.FromEngine], str]:
    """Connect to an engine; returns the connection, and the token for `engine.handshake` (empty on a Unix socket). Raises OSError if none listens."""
    if sys.platform != "win32" and where.kind == "unix":
        reader, writer = await asyncio.open_unix_connection(str(where.socket))
        return Connection(reader, writer, protocol.FromEngine), ""
    status = read_status(where)
    if status is None or not status.port or not status.token or not engine_lives(where):
        raise FileNotFoundError(where.status)
    reader, writer = await asyncio.open_connection(LOOPBACK, status.port)
    return Connection(reader, writer, protocol.FromEngine), status.token


Accept = Callable[[Connection[protocol.FromClient]], Coroutine[Any, Any, None]]


async def listen(where: Place, accept: Accept) -> tuple[asyncio.AbstractServer, int]:
    """Listen; returns the server and its port (0 with a Unix socket). Only the holder of the life lock may call this."""

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(Connection(reader, writer, protocol.FromClient))

    if sys.platform != "win32" and where.kind == "unix":
        # this process holds the life lock, so a socket file is from an engine that crashed
        where.socket.unlink(missing_ok=True)
        return await asyncio.start_unix_server(on_connection, str(where.socket), backlog=WAITING), 0
    server = await asyncio.start_server(on_connection, LOOPBACK, 0, backlog=WAITING)
    return server, server.sockets[0].getsockname()[1]
