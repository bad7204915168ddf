"""`infill lsp`: the same server over stdio, a Unix socket and TCP; and stdout is LSP's alone."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from commands import LONGEST, Shell

REQUEST = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}}


def _send(stream: BinaryIO, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    stream.flush()


def _receive(stream: BinaryIO) -> dict[str, Any]:
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.partition(b": ")
        headers[name.lower()] = value
    message: dict[str, Any] = json.loads(stream.read(int(headers[b"content-length"])))
    return message


def _session(reading: BinaryIO, writing: BinaryIO, secret: str = "") -> None:
    """A whole life: initialize, shutdown, exit."""
    _send(writing, {**REQUEST, "params": {**REQUEST["params"], "initializationOptions": {"secret": secret} if secret else None}})
    assert _receive(reading)["result"]["serverInfo"]["name"] == "infill"
    _send(writing, {"jsonrpc": "2.0", "id": 2, "method": "shutdown"})
    assert _receive(reading)["id"] == 2
    _send(writing, {"jsonrpc": "2.0", "method": "exit"})


@pytest.mark.parametrize("words", [[], ["--stdio"], ["--offline"], ["--trust-workspace"]], ids=" ".join)
def test_it_speaks_on_stdio(fresh: Shell, words: list[str]) -> None:
    with fresh.start("lsp", *words) as process:
        assert process.stdin and process.stdout
        _session(process.stdout, process.stdin)  # type: ignore[arg-type]
        assert process.stdout.read() == b""
        assert process.wait(LONGEST) == 0


def test_it_leaves_when_the_editor_is_gone(fresh: Shell) -> None:
    with fresh.start("lsp") as process:
        assert process.stdin and process.stdout
        _send(process.stdin, REQUEST)  # type: ignore[arg-type]
        _receive(process.stdout)  # type: ignore[arg-type]
        process.stdin.close()
        assert process.wait(LONGEST) in {0, 1}


def test_it_waits_for_one_editor_on_a_tcp_port(fresh: Shell) -> None:
    with fresh.start("lsp", "--tcp", "127.0.0.1:0") as process:
        assert process.stderr
        port, secret = int(process.stderr.readline().rpartition(b":")[2]), process.stderr.readline().decode().split()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
            _session(connection.makefile("rb"), connection.makefile("wb"), secret)
        assert process.wait(LONGEST) == 0


def test_it_waits_for_one_editor_on_a_unix_socket_that_is_its_owners_alone(shell: Shell) -> None:
    path = shell.folder / "lsp.sock"
    with shell.start("lsp", "--socket", str(path)) as process:
        assert process.stderr
        assert process.stderr.readline().decode().strip() == f"Listening on {path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            _session(connection.makefile("rb"), connection.makefile("wb"))
        assert process.wait(LONGEST) == 0
    assert not path.exists()


def test_a_socket_that_cannot_be_made_is_said_in_a_sentence(fresh: Shell) -> None:
    taken = fresh.folder / "taken"
    taken.write_text("")
    ran = fresh.run("lsp", "--socket", str(taken))
    assert ran.code == 1
    assert "No socket can be made" in ran.err
    assert taken.exists()


def test_what_anybody_prints_never_reaches_the_editor(fresh: Shell, tmp_path: Path) -> None:
    code = "import os, sys\nfrom infill.lsp.start import stdio\nread, write = stdio()\nprint('noise')\nos.write(1, b'noise')\nwrite.write(b'word')\nwrite.flush()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, input=b"", timeout=LONGEST, env=os.environ)
    assert done.stdout == b"word"
    assert done.stderr.count(b"noise") == 2
