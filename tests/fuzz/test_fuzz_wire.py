"""Bytes on the engine's wire, in both directions: each frame is a message or ends its own connection, and the engine serves the others."""

from __future__ import annotations

import asyncio
import random
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fuzzing import Clock, fuzz
from hypothesis import example, given
from hypothesis import strategies as st
from scripted import serving

from infill.engine import protocol, transport
from infill.engine.protocol import Cancel, Complete, Configure, Done, Forget, Frame, Hello, Load, Status, Text, Warm, Welcome
from infill.engine.transport import BadFrame, Connection

WHOLE: tuple[Frame, ...] = (
    Hello(version=protocol.VERSION, client="fuzz"),
    Complete(id=1, model="local:a", slot="s", prefix="a = ", suffix="\n"),
    Warm(id=2, model="local:a", slot="s", prefix="a = ", suffix="\n"),
    Load(id=3, model="local:a"),
    Cancel(id=1),
    Forget(slot="s"),
    Configure(options={"threads": 2}),
    Text(id=1, text="x"),
    Done(id=1),
)
CONNECTIONS = 120

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=10), st.binary(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=5,
)
kinds = st.sampled_from([*("hello", "prove", "complete", "warm", "generate", "cancel", "forget", "load", "unload", "ask_status", "configure"), "x"])
names = st.sampled_from(
    ["id", "model", "slot", "prefix", "suffix", "version", "client", "stop", "sampling", "snippets", "options", "messages", "nonce"]
)
objects = st.builds(lambda kind, fields: {"type": kind, **fields}, kinds, st.dictionaries(names, values, max_size=6)).map(msgspec.msgpack.encode)
frames = st.one_of(objects, st.sampled_from(WHOLE).map(msgspec.msgpack.encode), st.binary(max_size=60)).map(
    lambda body: struct.pack(">I", len(body)) + body
)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


async def received(content: bytes, expected: Any) -> list[Any]:
    """Every message of a stream of bytes; a frame that is none ends it."""
    reader = asyncio.StreamReader()
    reader.feed_data(content)
    reader.feed_eof()
    connection: Connection[Any] = Connection(reader, None, expected)  # type: ignore[arg-type]
    found = []
    try:
        while (message := await connection.receive()) is not None:
            found.append(message)
    except BadFrame:
        pass
    return found


async def received_by_either(content: bytes) -> list[Any]:
    return await received(content, protocol.FromClient) + await received(content, protocol.FromEngine)


@fuzz(examples=120)
@given(content=st.one_of(st.binary(max_size=200), st.lists(frames, max_size=5).map(b"".join)), cut=st.integers(0, 300))
@example(content=struct.pack(">I", 2**32 - 1), cut=300)
@example(content=struct.pack(">I", 100_000) + b"\x91" * 100_000, cut=200_000)
@example(content=struct.pack(">I", 5) + b"\xdb\xff\xff\xff\xff", cut=300)
@example(content=struct.pack(">I", 3) + b"\xa2\xff\xff", cut=300)
def test_any_bytes_are_messages_or_the_end_of_their_connection(clock: Clock, content: bytes, cut: int) -> None:
    if clock.over():
        return
    assert all(isinstance(message, Frame) for message in asyncio.run(received_by_either(content[:cut])))


def mutated(chance: random.Random) -> bytes:
    """Frames that a client may send, with bytes changed, moved or cut."""
    bodies = [msgspec.msgpack.encode(frame) for frame in chance.sample(WHOLE, chance.randint(1, 4))]
    content = bytearray(b"".join(struct.pack(">I", len(body)) + body for body in bodies))
    for _ in range(chance.randrange(6)):
        at = chance.randrange(len(content))
        content[at : at + chance.randrange(2)] = bytes(chance.randrange(256) for _ in range(chance.randrange(3)))
        content = content or bytearray(b"\0")
    return bytes(content[: chance.randrange(len(content) + 1)] if chance.random() < 0.2 else content)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="inf-", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("INFILL_HOME", folder)
        yield


@pytest.mark.skipif(sys.platform == "win32", reason="the engine of this test listens on a Unix socket")
async def test_an_engine_serves_on_whatever_its_clients_send(home: None) -> None:
    clock = Clock()
    async with serving() as (world, _):
        for number in range(CONNECTIONS):
            if clock.over():
                break
            await send(transport.place().socket, mutated(random.Random(number)))
        client = await world.client()
        assert isinstance(await client.status(), Status)
        ask = Complete(id=0, model="local:a", slot="s", prefix="", suffix="")
        assert isinstance([frame async for frame in client.complete(ask)][-1], Done)


async def send(socket: Path, content: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(socket))
    hello = msgspec.msgpack.encode(WHOLE[0])
    writer.write(struct.pack(">I", len(hello)) + hello + content)
    (length,) = struct.unpack(">I", await asyncio.wait_for(reader.readexactly(4), 60))
    assert isinstance(msgspec.msgpack.decode(await reader.readexactly(length), type=protocol.FromEngine), Welcome)
    writer.close()
