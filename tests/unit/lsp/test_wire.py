"""Whatever an editor sends, it gets one answer, and the server lives."""

from __future__ import annotations

import io
import json

import pytest
from scripted_editor import Editor, NewEditor

from infill.lsp.stream import frames

INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}}


def code(editor: Editor) -> int:
    found: int = editor.heard[-1]["error"]["code"]
    return found


@pytest.mark.parametrize("garbage", [b"{", b"", b"\xff\xfe", b"[" * 100_000, b"nul\x00l", b'"\\ud800"{'])
async def test_what_is_not_json_is_answered_and_survived(editor: Editor, garbage: bytes) -> None:
    editor.raw(garbage)
    assert code(editor) == -32700
    assert await editor.command("infill.status")


@pytest.mark.parametrize(
    "message",
    [
        [],
        1,
        "text",
        None,
        {},
        {"jsonrpc": "1.0", "id": 7, "method": "shutdown"},
        {"id": 7, "method": "shutdown"},
        {"jsonrpc": "2.0", "id": 7, "method": 5},
    ],
)
async def test_what_is_not_json_rpc_is_answered_and_survived(editor: Editor, message: object) -> None:
    editor.raw(message)
    assert code(editor) == -32600
    assert await editor.command("infill.status")


@pytest.mark.parametrize("number", [None, True, 1.5, [], {}])
async def test_an_id_that_is_no_id_is_refused(editor: Editor, number: object) -> None:
    editor.raw({"jsonrpc": "2.0", "id": number, "method": "shutdown"})
    assert code(editor) == -32600


async def test_a_request_before_initialize_is_told_to_wait(new_editor: NewEditor) -> None:
    editor = new_editor()
    error = await editor.error("textDocument/inlineCompletion", textDocument={"uri": "file:///a"})
    assert error["code"] == -32002
    assert "initialize" in error["message"]


async def test_notifications_before_initialize_are_dropped(new_editor: NewEditor) -> None:
    editor = new_editor()
    editor.open("x = ")
    assert not list(editor.server.documents)
    assert await editor.start()


async def test_initialize_comes_once(editor: Editor) -> None:
    assert (await editor.error("initialize", processId=None, rootUri=None, capabilities={}))["code"] == -32600


async def test_parameters_of_the_wrong_shape_are_named(editor: Editor) -> None:
    error = await editor.error("textDocument/inlineCompletion", textDocument=5)
    assert error["code"] == -32602
    assert "textDocument/inlineCompletion" in error["message"]


async def test_an_initialize_that_makes_no_sense_can_be_repeated(new_editor: NewEditor) -> None:
    editor = new_editor()
    editor.raw(INITIALIZE | {"id": 99, "params": {"capabilities": 7}})
    assert code(editor) == -32602
    assert await editor.start()


async def test_a_notification_of_the_wrong_shape_is_ignored(editor: Editor) -> None:
    editor.notify("textDocument/didChange", textDocument=5)
    editor.notify("$/whatever", a=1)
    editor.notify("textDocument/didShowCompletion", item=7)
    editor.notify("textDocument/didPartiallyAcceptCompletion", item={"command": {"arguments": 3}}, acceptedLength=-4)
    assert await editor.command("infill.status")


async def test_an_unknown_request_is_refused(editor: Editor) -> None:
    assert (await editor.error("textDocument/nonsense", anything=1))["code"] == -32601


async def test_text_that_looks_like_a_message_stays_text(editor: Editor) -> None:
    inner = {"jsonrpc": "2.0", "method": "exit", "id": 5}
    error = await editor.error("workspace/executeCommand", command="infill.toggle", arguments=[inner | {"enabled": "yes"}])
    assert "enabled" in error["message"]


async def test_an_answer_to_nothing_is_ignored(editor: Editor) -> None:
    editor.raw({"jsonrpc": "2.0", "id": 12345, "result": None})
    editor.raw({"jsonrpc": "2.0", "id": [], "error": {"code": 1, "message": "?"}})
    assert await editor.command("infill.status")


async def test_an_answer_with_the_number_of_a_running_request_does_not_end_it(new_editor: NewEditor) -> None:
    editor = new_editor(["done", 0.05, "()"])
    await editor.start()
    editor.open("x = ")
    number, reply = editor.begin(
        "textDocument/inlineCompletion",
        textDocument={"uri": "file:///project/a.py"},
        position={"line": 0, "character": 4},
        context={"triggerKind": 1},
    )
    editor.raw({"jsonrpc": "2.0", "id": number, "result": "wrong"})
    assert (await reply)["result"]["items"][0]["insertText"] == "done()"


async def test_after_shutdown_only_exit_is_heard(editor: Editor) -> None:
    assert await editor.result("shutdown") is None
    assert (await editor.error("textDocument/inlineCompletion"))["code"] == -32600
    editor.open("x = ")
    editor.notify("exit")
    finished = editor.server.protocol.finished
    assert finished is not None and finished.result() == 0


async def test_exit_without_shutdown_is_a_failure(editor: Editor) -> None:
    editor.notify("exit")
    finished = editor.server.protocol.finished
    assert finished is not None and finished.result() == 1


def frame(body: bytes, header: bytes = b"Content-Length: %d\r\n") -> bytes:
    return (header % len(body) if b"%d" in header else header) + b"\r\n" + body


def test_headers_are_read_as_leniently_as_http_does() -> None:
    data = frame(b"{}", b"content-length:%d\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n") + frame(b"[]", b"Content-Length: %d\n")
    assert list(frames(io.BytesIO(data))) == [b"{}", b"[]"]


def test_a_header_without_a_length_is_told_and_survived() -> None:
    data = (
        frame(b"", b"Content-Type: x\r\n")
        + frame(b"", b"Content-Length: many\r\n")
        + frame(b"", b"Content-Length: 99999999999999\r\n")
        + frame(b"{}")
    )
    assert list(frames(io.BytesIO(data))) == [b"", b"", b"", b"{}"]


def test_a_message_cut_short_is_the_end() -> None:
    assert list(frames(io.BytesIO(frame(b"{}") + frame(json.dumps(INITIALIZE).encode())[:-4]))) == [b"{}"]
