"""The engine's response to bytes that our client never sends: an error closes its own connection and affects no other."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator

import msgspec
import pytest
from scripted import World, serving

from infill.engine import handshake, launch, protocol, transport
from infill.engine import server as engine_server
from infill.engine.protocol import Complete, Hello, Load, Prove, Welcome
from infill.engine.transport import BadFrame, Connection
from infill.errors import ProviderUnavailable, RequestError
from infill.settings import Engine

HELLO = Hello(version=protocol.VERSION, client="raw")


@pytest.fixture
async def world(home) -> AsyncIterator[World]:
    async with serving() as (made, _):
        yield made


class Raw:
    """A connection for raw bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def frame(self, content: object) -> None:
        self.bytes(msgspec.msgpack.encode(content))

    def bytes(self, payload: bytes) -> None:
        self.writer.write(struct.pack(">I", len(payload)) + payload)

    async def answers(self) -> list[dict]:
        """All messages until the engine closes the connection."""
        data = await asyncio.wait_for(self.reader.read(-1), 5)
        self.writer.close()
        answers = []
        while data:
            (length,) = struct.unpack(">I", data[:4])
            answers.append(msgspec.msgpack.decode(data[4 : 4 + length]))
            data = data[4 + length :]
        return answers


async def raw(greet: bool = True) -> Raw:
    made = Raw(*await asyncio.open_unix_connection(str(transport.place().socket)))
    if greet:
        made.frame(HELLO)
    return made


async def still_serves(world: World) -> bool:
    client = await world.client()
    return [frame async for frame in client.complete(Complete(id=0, model="local:a", slot="s", prefix="", suffix=""))] != []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc1",
        b"not MessagePack at all",
        msgspec.msgpack.encode({"type": "hello"}),
        msgspec.msgpack.encode({"type": "no such message", "id": 1}),
        msgspec.msgpack.encode({"type": "complete", "id": "one"}),
        msgspec.msgpack.encode({"type": "complete", "id": 1, "model": "m", "slot": "s", "prefix": 3, "suffix": ""}),
        msgspec.msgpack.encode([1, 2, 3]),
        b"\x81" * 100_000,
        b"\x91" * 100_000,
        b"\xdb\xff\xff\xff\xff",
        msgspec.msgpack.encode({"type": "cancel", "id": 1})[:-1],
        msgspec.msgpack.encode({"type": "forget", "slot": "x"}).replace(b"x", b"\xff"),
    ],
    ids=["empty", "never-used", "text", "half", "unknown", "wrong-type", "wrong-field", "list", "deep", "deep-list", "huge", "cut", "no-utf8"],
)
async def test_a_frame_that_makes_no_sense_ends_its_own_connection_only(world, payload):
    made = await raw()
    made.bytes(payload)
    answers = await made.answers()
    assert answers[0]["type"] == "welcome"
    assert answers[-1]["type"] == "failed"
    assert answers[-1]["error"] == "RequestError"
    assert await still_serves(world)


async def test_a_frame_that_is_too_long_is_not_even_read(world):
    made = await raw()
    made.writer.write(struct.pack(">I", protocol.MAX_FRAME + 1))
    assert "too many" in (await made.answers())[-1]["message"]
    assert await still_serves(world)


async def test_a_connection_that_breaks_in_the_middle_of_a_frame_is_no_trouble(world):
    made = await raw()
    made.writer.write(struct.pack(">I", 100) + b"half")
    made.writer.close()
    await made.writer.wait_closed()
    assert await still_serves(world)


async def test_somebody_who_says_nothing_is_sent_away(world, monkeypatch):
    monkeypatch.setattr(engine_server, "HANDSHAKE", 0.05)
    made = await raw(greet=False)
    assert await made.answers() == []
    assert await still_serves(world)


async def test_the_first_message_has_to_be_a_greeting(world):
    made = await raw(greet=False)
    made.frame(Load(id=1, model="local:a"))
    assert "greeting" in (await made.answers())[0]["message"]
    assert world.log == []


async def test_a_second_greeting_is_a_mistake(world):
    made = await raw()
    made.frame(HELLO)
    assert (await made.answers())[-1]["type"] == "failed"


async def test_another_version_is_refused_with_a_sentence(world):
    made = await raw(greet=False)
    made.frame(Hello(version=999, client="future"))
    (refusal,) = await made.answers()
    assert "version 999" in refusal["message"]
    assert "infill engine stop" in refusal["hint"]


async def test_versions_never_meet_since_each_has_a_socket_of_its_own():
    assert f"{protocol.VERSION}.sock" in transport.place().socket.name
    assert "0.1.0" in transport.place().socket.name


async def test_the_same_number_twice_is_a_mistake(world):
    world.gate("s")
    made = await raw()
    for _ in range(2):
        made.frame(Complete(id=7, model="local:a", slot="s", prefix="", suffix=""))
    assert "in use" in (await made.answers())[-1]["message"]
    world.gates["s"].set()
    assert await still_serves(world)


async def test_a_flood_of_requests_ends_the_connection_that_it_comes_through(world):
    made = await raw()
    for number in range(engine_server.PENDING + 1):
        made.frame(Complete(id=number, model="local:a", slot=str(number), prefix="", suffix=""))
    assert "too many requests" in (await made.answers())[-1]["message"]
    assert await still_serves(world)


async def test_a_client_that_does_not_read_is_given_up(world, monkeypatch):
    monkeypatch.setattr(transport, "BACKLOG", 1000)
    made = await raw()
    for number in range(2000):
        made.frame(protocol.AskStatus(id=number))
        if number % 100 == 0:
            await asyncio.sleep(0)
    await world.until(lambda: not world.server._clients)
    made.writer.close()
    assert await still_serves(world)


async def test_a_request_too_large_for_the_wire_is_refused_before_it_is_sent(world):
    client = await world.client()
    with pytest.raises(RequestError, match="too large"):
        await anext(client.complete(Complete(id=0, model="local:a", slot="s", prefix="x" * (protocol.MAX_FRAME + 1), suffix="")))
    assert (await client.status()).state == "idle"


async def test_a_large_file_gets_through(world):
    client = await world.client()
    frames = [frame async for frame in client.complete(Complete(id=0, model="local:a", slot="s", prefix="ü" * 5_000_000, suffix=""))]
    assert frames


async def test_somebody_elses_process_is_refused(world, monkeypatch):
    monkeypatch.setattr(Connection, "peer_user", lambda self: os.getuid() + 1)
    made = await raw(greet=False)
    (refusal,) = await made.answers()
    assert "another user" in refusal["message"]
    with pytest.raises(ProviderUnavailable, match="belongs to another user"):
        await launch.connect("test")


def test_the_system_tells_who_is_at_the_other_end():
    left, right = socket.socketpair(socket.AF_UNIX)
    assert transport.peer_user(left) == os.getuid()
    left.close()
    right.close()


async def test_over_tcp_only_those_who_know_the_token_come_in(home, monkeypatch):
    monkeypatch.setenv("INFILL_TRANSPORT", "tcp")
    client = await launch.connect_or_start("test")
    where = transport.place()
    status = transport.read_status(where)
    assert len(status.token) == 64
    for token in ("", "0" * 64, status.token[:-1], status.token.upper()):
        reader, writer = await asyncio.open_connection("127.0.0.1", status.port)
        connection = Connection(reader, writer, protocol.FromEngine)
        nonce = handshake.nonce()
        connection.send(Hello(version=protocol.VERSION, client="thief", nonce=nonce))
        challenge = await connection.receive()
        assert handshake.proves(challenge.proof, status.token, "engine", nonce, challenge.nonce)
        connection.send(Prove(proof=handshake.proof(token, "client", nonce, challenge.nonce)))
        refusal = await connection.receive()
        assert "token" in refusal.message
        await connection.aclose()
    assert (await client.status()).clients == ("test",)
    await client.shutdown()
    await client.aclose()


async def test_whatever_else_listens_there_is_not_taken_for_the_engine(home, monkeypatch):
    monkeypatch.setenv("INFILL_TRANSPORT", "tcp")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    other = await asyncio.start_server(talk, "127.0.0.1", 0)
    where = transport.place()
    where.directory.mkdir(mode=0o700)
    stale = transport.EngineFile(pid=1, started=0, port=other.sockets[0].getsockname()[1], token="x")
    where.status.write_bytes(msgspec.json.encode(stale))
    assert await launch.connect("test") is None
    client = await launch.connect_or_start("test")
    assert client.pid > 1
    await client.aclose()
    other.close()


async def test_settings_that_make_no_sense_are_left_out(world):
    client = await world.client()
    client._send(protocol.Configure(options={"idleMinutes": "soon", "nonsense": 1, "threads": 2}))
    await client.status()
    assert world.server._settings == Engine(threads=2)


async def test_a_cut_answer_is_told_as_a_crash(home):
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, protocol.FromClient)
        await connection.receive()
        connection.send(Welcome(version=protocol.VERSION, pid=1))
        await connection.receive()
        writer.write(struct.pack(">I", 50) + b"half")
        writer.close()

    where = transport.place()
    where.directory.mkdir(mode=0o700)
    server = await asyncio.start_unix_server(half, str(where.socket))
    client = await launch.connect("test")
    with pytest.raises(Exception, match="without a word"):
        await client.status()
    await client.aclose()
    server.close()


async def test_frames_survive_any_way_of_being_cut_up():
    sent = [HELLO, Complete(id=1, model="m", slot="s", prefix="äöü", suffix="\0")]
    reader = asyncio.StreamReader()
    wire = b""
    for message in sent:
        payload = msgspec.msgpack.encode(message)
        wire += struct.pack(">I", len(payload)) + payload
    connection: Connection[protocol.FromClient] = Connection(reader, None, protocol.FromClient)
    received = asyncio.ensure_future(asyncio.wait_for(_all(connection), 5))
    for byte in wire:
        reader.feed_data(bytes([byte]))
        await asyncio.sleep(0)
    reader.feed_eof()
    assert await received == sent


async def _all(connection: Connection) -> list:
    messages = []
    while (message := await connection.receive()) is not None:
        messages.append(message)
    return messages


async def test_a_stream_that_ends_in_a_header_is_cut_short():
    reader = asyncio.StreamReader()
    reader.feed_data(b"\0\0")
    reader.feed_eof()
    with pytest.raises(BadFrame, match="cut short"):
        await Connection(reader, None, protocol.FromClient).receive()
