"""The real server reports a clear error for bad input, full disks and unusual home directories, and keeps running."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from real_editor import ADD, PATIENCE, Editor, NewEditor, until

SERVER = [sys.executable, "-m", "infill", "lsp"]
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}}


class Raw:
    """A server that the test sends raw bytes to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, message: Any) -> None:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        self._writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def bytes(self, data: bytes) -> None:
        self._writer.write(data)

    async def receive(self) -> dict[str, Any]:
        header = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE)
        length = int(header.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self._reader.readexactly(length), PATIENCE))
        return message

    async def reply(self, number: int | None) -> dict[str, Any]:
        while (message := await self.receive()).get("id", "none") != number:
            pass
        return message


@pytest.fixture
async def process(home: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    one = await asyncio.create_subprocess_exec(*SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, limit=64 * 1024 * 1024)
    yield one
    if one.returncode is None:
        one.kill()
    await one.communicate()


@pytest.fixture
def raw(process: asyncio.subprocess.Process) -> Raw:
    assert process.stdout and process.stdin
    return Raw(process.stdout, process.stdin)


async def test_garbage_on_the_wire_is_answered_and_the_server_lives(raw: Raw) -> None:
    raw.send(b"{not json")
    assert (await raw.reply(None))["error"]["code"] == -32700
    raw.bytes(b"Nonsense: header\r\n\r\n")
    assert (await raw.reply(None))["error"]["code"] == -32700
    raw.send({"jsonrpc": "2.0", "id": 7, "method": "textDocument/inlineCompletion", "params": {}})
    assert (await raw.reply(7))["error"]["code"] == -32002
    raw.send(INITIALIZE)
    assert (await raw.reply(1))["result"]["serverInfo"]["name"] == "infill"
    raw.send({"jsonrpc": "2.0", "id": 2, "method": "shutdown"})
    assert (await raw.reply(2))["result"] is None
    raw.send({"jsonrpc": "2.0", "id": 3, "method": "textDocument/inlineCompletion", "params": {}})
    assert (await raw.reply(3))["error"]["code"] == -32600


async def test_exit_and_the_end_of_the_stream_end_the_process(raw: Raw, process: asyncio.subprocess.Process) -> None:
    raw.send(INITIALIZE)
    await raw.reply(1)
    raw.send({"jsonrpc": "2.0", "id": 2, "method": "shutdown"})
    await raw.reply(2)
    raw.send({"jsonrpc": "2.0", "method": "exit"})
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 0


async def test_an_editor_that_dies_takes_its_server_with_it(raw: Raw, process: asyncio.subprocess.Process) -> None:
    raw.send(INITIALIZE)
    await raw.reply(1)
    assert process.stdin
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), PATIENCE) == 1


async def test_nothing_but_lsp_is_ever_written_to_stdout(process: asyncio.subprocess.Process) -> None:
    body = json.dumps(INITIALIZE).encode()
    out, _ = await asyncio.wait_for(process.communicate(b"Content-Length: %d\r\n\r\n" % len(body) + body), PATIENCE)
    header, _, rest = out.partition(b"\r\n\r\n")
    assert header.startswith(b"Content-Length: ")
    assert int(header.split(b"\r\n")[0].split(b":")[1]) == len(rest)


async def test_a_ten_megabyte_file_and_an_endless_line_are_answered(editor: Editor) -> None:
    editor.open("value = 1\n" * 1_000_000 + ADD)
    editor.type("a", 1_000_004, 11)
    await editor.ghosts(1_000_004, 12, invoked=True)
    assert (await editor.command("infill.explain"))["reason"] in {"", "the model had nothing to add"}
    editor.open("x = '" + "é" * 100_000 + "'; y = ", "file:///project/b.py")
    editor.type("1", 0, 100_012, "file:///project/b.py")
    await editor.ghosts(0, 100_013, "file:///project/b.py", invoked=True)
    assert editor.server.is_running()


@pytest.mark.parametrize(
    "text", ["\x00" * 5000, "\ud83d" * 200, "\x1b[31m\x07\x9f", "".join(map(chr, range(1, 2000))), "", "\r" * 3000, "<|fim_prefix|><|fim_middle|>"]
)
async def test_text_of_any_kind_is_survived(editor: Editor, text: str) -> None:
    editor.open(text + "\n" + ADD)
    line = text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 5
    await editor.ghosts(line, 11, invoked=True)
    await editor.ghosts(0, 0, invoked=True)
    await editor.ghosts(10**9, 10**9, invoked=True)
    assert editor.kinds[-1] != "error"
    editor.open(ADD, "file:///project/b.py")
    assert await editor.ghosts(4, 11, "file:///project/b.py", invoked=True)


async def test_a_document_that_changes_meanwhile_never_gets_a_stale_answer(editor: Editor) -> None:
    editor.open(ADD)
    await editor.ghosts(4, 11)
    for number in range(10):
        asked = asyncio.ensure_future(editor.ghosts(4, 11 + number, invoked=True))
        await asyncio.sleep(0)
        editor.type("x", 4, 11 + number)
        for item in await asked:
            assert item.range is not None
            assert item.range.start == types.Position(4, 11 + number)
    assert editor.server.is_running()


async def test_a_read_only_home_costs_a_sentence_not_the_server(new_editor: NewEditor, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # root can write to every directory, but cannot create one below a file
    (home / "file").write_text("")
    monkeypatch.setenv("INFILL_HOME", str(home / "file" / "below"))
    editor = await new_editor()
    editor.open(ADD)
    assert await editor.ghosts(4, 11, invoked=True) == []
    assert editor.kinds[-1] == "warning"
    assert "INFILL_HOME" in editor.statuses[-1].message
    assert (await editor.command("infill.stats"))["shown"] == 0
    assert await editor.ghosts(4, 11, invoked=True) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
async def test_a_full_disk_costs_the_statistics_and_the_log_not_the_server(new_editor: NewEditor, home: Path) -> None:
    (home / "state").mkdir()
    (home / "state" / "statistics.sqlite3").symlink_to("/dev/full")
    editor = await new_editor()
    editor.open(ADD)
    (item, *_) = await editor.ghosts(4, 11, invoked=True)
    assert item.command is not None and item.command.arguments is not None
    await editor.command("infill.didAccept", *item.command.arguments)
    assert (await editor.command("infill.stats"))["accepted"] == 0
    editor.type("x", 4, 11)
    await editor.ghosts(4, 12, invoked=True)
    assert editor.server.is_running()


async def test_a_unix_socket_serves_one_editor(home: Path) -> None:
    path = home / "lsp.sock"
    server = await asyncio.create_subprocess_exec(*SERVER, "--socket", str(path), stderr=subprocess.DEVNULL)
    try:
        await until(path.exists)
        assert os.stat(path).st_mode & 0o077 == 0  # noqa: PTH116 - a socket is no file
        reader, writer = await asyncio.open_unix_connection(str(path))
        raw = Raw(reader, writer)
        raw.send(INITIALIZE)
        assert (await raw.reply(1))["result"]["serverInfo"]["name"] == "infill"
        writer.close()
        assert await asyncio.wait_for(server.wait(), PATIENCE) == 1
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


async def test_tcp_is_for_this_machine_unless_told_otherwise(home: Path) -> None:
    refused = await asyncio.create_subprocess_exec(*SERVER, "--tcp", "0.0.0.0:0", stderr=subprocess.PIPE)
    _, told = await asyncio.wait_for(refused.communicate(), PATIENCE)
    assert refused.returncode == 2
    assert b"not this machine" in told
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = await asyncio.create_subprocess_exec(*SERVER, "--tcp", f"127.0.0.1:{port}", stderr=subprocess.PIPE)
    try:
        assert server.stderr
        assert str(port).encode() in await asyncio.wait_for(server.stderr.readline(), PATIENCE)
        secret = (await asyncio.wait_for(server.stderr.readline(), PATIENCE)).decode().split()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        raw = Raw(reader, writer)
        raw.send({**INITIALIZE, "params": {**INITIALIZE["params"], "initializationOptions": {"secret": secret}}})
        assert "result" in await raw.reply(1)
        raw.send({"jsonrpc": "2.0", "id": 2, "method": "shutdown"})
        await raw.reply(2)
        raw.send({"jsonrpc": "2.0", "method": "exit"})
        assert await asyncio.wait_for(server.wait(), PATIENCE) == 0
        writer.close()
        await writer.wait_closed()
    finally:
        if server.returncode is None:
            server.kill()
        await server.communicate()


async def test_nothing_that_is_written_holds_the_user_s_code(editor: Editor, home: Path) -> None:
    editor.open("def zanzibar_quokka(a, b):\n    return ")
    await editor.ghosts(1, 11, invoked=True)
    editor.type("xylophone_umbrella", 1, 11)
    with pytest.raises(JsonRpcException):
        await editor.command(
            "infill.generate", {"uri": "file:///nowhere.py", "instruction": "zanzibar_quokka", "position": {"line": 0, "character": 0}}
        )
    await editor.command("infill.stats")
    written = _written(home)
    assert any(path.suffix == ".log" for path in written)
    assert not [path for path, content in written.items() if b"zanzibar" in content or b"xylophone" in content]


def _written(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
