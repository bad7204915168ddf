"""`infill lsp --tcp` and `--socket`: only an editor that knows the secret is served, whatever else connects first."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infill.lsp import gate
from raw_editor import COMMAND, PATIENCE, RawEditor

SECRET = "0123456789abcdef-secret"
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}}


def framed(message: Any) -> bytes:
    body = json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


POST = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1:4711\r\nConnection: keep-alive\r\nContent-Length: %d\r\nOrigin: https://evil.example\r\n"
    b"Content-Type: text/plain;charset=UTF-8\r\nSec-Fetch-Mode: no-cors\r\n\r\n%s"
) % (len(json.dumps(INITIALIZE)), json.dumps(INITIALIZE).encode())
WITHOUT = [
    b"",
    b"C",
    POST,
    POST + POST,
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b"SSH-2.0-x\r\n",
    b"content-length: 2\r\n\r\n{}",
    b"Content-Length: 99999999999\r\n\r\n",
    b"Content-Length: 5\r\n\r\n[[[[[",
    framed([]),
    framed(INITIALIZE),
    framed({**INITIALIZE, "method": "shutdown"}),
    framed({**INITIALIZE, "params": {**INITIALIZE["params"], "initializationOptions": {"secret": ""}}}),  # type: ignore[dict-item]
    framed({**INITIALIZE, "params": {**INITIALIZE["params"], "initializationOptions": {"secret": SECRET[:-1]}}}),  # type: ignore[dict-item]
    framed({**INITIALIZE, "params": {**INITIALIZE["params"], "initializationOptions": {"secret": [SECRET]}}}),  # type: ignore[dict-item]
    framed({**INITIALIZE, "params": {**INITIALIZE["params"], "initializationOptions": {"secret": "\udcff"}}}),  # type: ignore[dict-item]
    framed({**INITIALIZE, "params": [1]}),
]


class Listening:
    """A gate in this process."""

    def __init__(self, secret: str = SECRET) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.found: queue.Queue[Any] = queue.Queue()
        self.gate = gate.Gate(self.listener, secret)
        threading.Thread(target=lambda: self.found.put(self.gate.editor()), daemon=True).start()

    def connect(self, data: bytes = b"") -> socket.socket:
        connection = socket.create_connection(self.address, timeout=PATIENCE)
        connection.sendall(data)
        return connection


@pytest.fixture
def listening() -> Iterator[Listening]:
    made = Listening()
    yield made
    made.listener.close()


def serve(listening: Listening) -> dict[str, Any]:
    """Be the editor; what the server gets as its first message."""
    options = {"secret": SECRET, "enabled": True}
    with listening.connect(framed({**INITIALIZE, "params": {**INITIALIZE["params"], "initializationOptions": options}}) + b"Content-Len"):  # type: ignore[dict-item]
        connection, reading = listening.found.get(timeout=PATIENCE)
        header = reading.readline()
        assert reading.readline() == b"\r\n"
        message: dict[str, Any] = json.loads(reading.read(int(header.split()[1])))
        assert reading.read(11) == b"Content-Len", "nothing behind the first message is lost"
        reading.close()
        connection.close()
    return message


@pytest.mark.parametrize("data", WITHOUT, ids=lambda data: repr(data[:30]))
def test_what_is_no_editor_with_the_secret_is_refused_and_listening_goes_on(listening: Listening, data: bytes) -> None:
    with listening.connect(data) as connection:
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            answer = connection.makefile("rb").read()
            assert b'"result"' not in answer
            assert SECRET.encode() not in answer
    assert listening.found.empty()
    assert serve(listening)["method"] == "initialize"


def test_the_secret_is_taken_out_of_the_message(listening: Listening) -> None:
    assert serve(listening)["params"]["initializationOptions"] == {"enabled": True}


def test_a_request_of_a_web_page_is_refused_at_its_first_byte(listening: Listening) -> None:
    with listening.connect(b"P") as connection:
        assert b"does not speak LSP" in connection.makefile("rb").read()


def test_connections_that_say_nothing_keep_no_editor_out(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = [listening.connect(b"Content") for _ in range(10)]
    assert serve(listening)["method"] == "initialize"
    for connection in silent:
        connection.close()


def test_a_connection_has_a_bounded_time_for_its_first_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "FIRST_SECONDS", 0.05)
    made = Listening()
    with made.connect(b"Content-Length: 10\r\n") as connection:
        assert connection.makefile("rb").read() is not None
    made.listener.close()


def test_a_second_editor_is_refused(listening: Listening) -> None:
    message = framed({**INITIALIZE, "params": {**INITIALIZE["params"], "initializationOptions": {"secret": SECRET}}})  # type: ignore[dict-item]
    with listening.connect(message):
        connection, reading = listening.found.get(timeout=PATIENCE)
        with contextlib.suppress(OSError), listening.connect(message) as late:
            assert b'"result"' not in late.makefile("rb").read()
        reading.close()
        connection.close()
    assert listening.found.empty()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_another_user_is_refused_where_the_system_tells_who_connects(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as ours:
        accepted, _ = listener.accept()
        assert gate.peer_user(accepted) == os.getuid()
        assert gate.peer_user(ours) == os.getuid()
        accepted.close()
    monkeypatch.setattr(gate, "peer_user", lambda connection: os.getuid() + 1)
    message = framed({**INITIALIZE, "params": {**INITIALIZE["params"], "initializationOptions": {"secret": SECRET}}})  # type: ignore[dict-item]
    with listening.connect(message) as connection, contextlib.suppress(ConnectionResetError):
        assert b"another user" in connection.makefile("rb").read()
    assert listening.found.empty()


def started(*words: str, **environment: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, **environment}
    return subprocess.Popen([sys.executable, *COMMAND, *words], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env)


def test_the_server_survives_scans_and_serves_the_editor_that_knows_its_secret(shared_home: Path) -> None:
    with started("--tcp", "127.0.0.1:0") as process:
        assert process.stderr
        port, secret = int(process.stderr.readline().rpartition(b":")[2]), process.stderr.readline().decode().split()[1]
        for data in (b"", POST, framed(INITIALIZE)):
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
                connection.sendall(data)
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            editor = RawEditor(streams=(connection.makefile("rb"), connection.makefile("wb")))  # type: ignore[arg-type]
            assert "result" in editor.initialize(initializationOptions={"secret": secret})
            assert editor.command("infill.status")
            editor.ask("shutdown")
            editor.notify("exit")
            assert process.wait(PATIENCE) == 0


def test_an_editor_may_choose_the_secret_through_the_environment(shared_home: Path) -> None:
    with started("--tcp", "127.0.0.1:0", INFILL_LSP_SECRET="too short") as process:
        assert process.stderr
        assert b"shorter than" in process.stderr.read()
        assert process.wait(PATIENCE) == 1
    with started("--tcp", "127.0.0.1:0", INFILL_LSP_SECRET=SECRET) as process:
        assert process.stderr
        port = int(process.stderr.readline().rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            editor = RawEditor(streams=(connection.makefile("rb"), connection.makefile("wb")))  # type: ignore[arg-type]
            assert "result" in editor.initialize(initializationOptions={"secret": SECRET})
            editor.ask("shutdown")
            editor.notify("exit")
            assert process.wait(PATIENCE) == 0
        assert SECRET.encode() not in process.stderr.read()


@pytest.mark.skipif(sys.platform == "win32", reason="no Unix sockets")
def test_the_socket_of_a_killed_server_does_not_stop_the_next(shared_home: Path) -> None:
    path = shared_home / "stale.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with started("--socket", str(path)) as process:
        assert process.stderr
        assert b"Listening on" in process.stderr.readline()
        second = subprocess.run([sys.executable, *COMMAND, "--socket", str(path)], capture_output=True, timeout=PATIENCE)
        assert second.returncode == 1, "one that is alive keeps its socket"
        with socket.socket(socket.AF_UNIX) as empty:
            empty.connect(str(path))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            editor = RawEditor(streams=(connection.makefile("rb"), connection.makefile("wb")))  # type: ignore[arg-type]
            assert "result" in editor.initialize()
            editor.ask("shutdown")
            editor.notify("exit")
            assert process.wait(PATIENCE) == 0


class Failing:
    """A listener whose `accept` fails as on systems that tell there what became of a connection."""

    def __init__(self, *errors: OSError) -> None:
        self._errors = iter(errors)

    def accept(self) -> object:
        raise next(self._errors)

    def shutdown(self, how: int) -> None: ...


@pytest.mark.parametrize(
    "error", [ConnectionAbortedError(), ConnectionResetError(), OSError(errno.EMFILE, "x"), OSError(errno.ENOBUFS, "x")], ids=repr
)
def test_a_connection_that_cannot_be_accepted_does_not_end_the_server(error: OSError) -> None:
    """Only the error that comes last is one of the listener itself."""
    last = OSError(errno.EBADF, "closed")
    with pytest.raises(OSError, match="closed") as raised:
        gate.Gate(Failing(error, error, last)).editor()  # type: ignore[arg-type]
    assert raised.value is last
