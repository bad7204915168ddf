"""Whatever an editor sends, each request gets exactly one answer, and the conversation goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from lsprotocol import types

from raw_editor import CAPABILITIES, COMMAND, PATIENCE, NewRawEditor, RawEditor

NOTIFICATIONS = sorted(method for method, (_, response, *_) in types.METHOD_TO_TYPES.items() if response is None)
OURS = ["infill/cursor", "textDocument/didShowCompletion", "textDocument/didPartiallyAcceptCompletion"]
INVALID_REQUEST, INVALID_PARAMS, PARSE_ERROR = -32600, -32602, -32700
OPENED = {"textDocument": {"uri": "file:///x/a.py", "languageId": "python", "version": 1, "text": "x"}}


@pytest.fixture(scope="module")
def editor(shared_home: Path) -> RawEditor:
    one = RawEditor()
    one.initialize()
    yield one  # type: ignore[misc]
    one.kill()


def code(answer: dict[str, object]) -> object:
    return answer["error"]["code"]  # type: ignore[index]


@pytest.mark.parametrize("method", [*NOTIFICATIONS, *OURS])
def test_a_notification_with_an_id_is_refused_in_an_answer(editor: RawEditor, method: str) -> None:
    for params in (OPENED, None, {}, []):
        assert code(editor.ask(method, params)) == INVALID_REQUEST
    assert editor.command("infill.status")


@pytest.mark.parametrize("more", [{"error": None}, {"error": {"code": 1, "message": "x"}}, {"result": None}, {"result": 1, "error": {}}])
def test_a_request_with_members_of_a_response_is_answered_as_a_request(editor: RawEditor, more: dict[str, object]) -> None:
    message = {"id": "with more", "method": "workspace/executeCommand", "params": {"command": "infill.status", "arguments": []}}
    editor.send({**message, **more})
    assert editor.answer("with more")["result"]["kind"]


@pytest.mark.parametrize(
    "length", ["9" * 5_000, "9" * 19, "-1", "1e3", "", "\u00b2", "0x10", "+5", str(1 << 40)], ids=lambda length: length[:8] or "nothing"
)
def test_a_length_that_makes_no_sense_is_answered_and_the_conversation_goes_on(editor: RawEditor, length: str) -> None:
    editor.send_raw(b"Content-Length: %s\r\n\r\n" % length.encode("latin-1"))
    assert code(editor.answer(None)) == PARSE_ERROR
    assert editor.command("infill.status")


def test_headers_without_end_are_answered(editor: RawEditor) -> None:
    editor.send_raw(b"".join(b"X-%d: y\r\n" % number for number in range(64)))
    assert code(editor.answer(None)) == PARSE_ERROR
    editor.send_raw(b"\r\n")
    assert editor.command("infill.status")


LONE = json.loads('"\\ud800"')


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("infill.toggle", {"language": LONE}),
        ("infill.loadModel", {"model": LONE}),
        ("infill.generate", {"uri": "file:///x/a.py", "position": {"line": 0, "character": 0}, "instruction": LONE}),
        ("infill.generate", {"uri": LONE}),
        ("infill.didAccept", LONE),
        ("infill.testProvider", {"provider": LONE}),
        (LONE, None),
    ],
)
def test_half_a_character_in_an_argument_is_a_wrong_argument(editor: RawEditor, command: str, argument: object) -> None:
    answer = editor.ask("workspace/executeCommand", {"command": command, "arguments": [argument]})
    assert "result" in answer or code(answer) in {INVALID_PARAMS, -32803}, answer


@pytest.mark.parametrize(
    "uri", ["file://[::1/x.py", "file://[/x.py", "file://]:99999/x", "file:///%00.py", "file:///%ff%fe.py", "", "file:", "::", "\x00"]
)
def test_a_uri_that_names_no_file_is_an_error_of_the_editor(editor: RawEditor, uri: str) -> None:
    assert editor.complete(uri, 0, 0)["error"]["code"] == -32602
    editor.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [{"uri": uri, "name": "x"}], "removed": []}})
    editor.open(uri, "x = ")
    assert "error" not in editor.complete(uri, 0, 4)


def test_half_a_character_in_a_uri_is_answered(editor: RawEditor) -> None:
    for uri in (f"file:///x/{LONE}.py", LONE, "file:///x/%ED%A0%80.py", "file:///a%00b.py", "file:" + "/a" * 5000):
        editor.open(uri, "x = ")
        answer = editor.complete(uri, 0, 4)
        assert "result" in answer or code(answer) == INVALID_PARAMS, answer
        action = {"title": "x", "data": {"uri": uri, "position": {"line": LONE, "character": 0}}}
        assert code(editor.ask("codeAction/resolve", action)) == INVALID_PARAMS


@pytest.mark.parametrize("token", [[], {}, [[1]], None, 1.5, True])
def test_a_token_of_the_wrong_kind_ends_nothing(editor: RawEditor, token: object) -> None:
    for method, name in (("window/workDoneProgress/cancel", "token"), ("$/cancelRequest", "id")):
        editor.notify(method, {name: token})
    editor.send({"id": 7_000, "method": "workspace/executeCommand", "params": {"command": "infill.status", "workDoneToken": token}})
    answer = editor.answer(7_000)
    assert "result" in answer or code(answer) == INVALID_PARAMS


def test_an_id_of_the_wrong_kind_is_refused(editor: RawEditor) -> None:
    for wrong in ([], {}, 1.5, True, None):
        editor.send({"id": wrong, "method": "infill.status"})
        assert code(editor.answer(None)) == INVALID_REQUEST


def test_an_editor_that_does_not_read_does_not_stop_the_server(new_raw_editor: NewRawEditor, tmp_path: Path, shared_home: Path) -> None:
    """Its pipe is full after 64 KiB; the server goes on handling what it is sent."""
    mark = tmp_path / "mark.py"
    mark.write_text("x = 1\n")
    with subprocess.Popen([sys.executable, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin

        def send(message: dict[str, object]) -> None:
            body = json.dumps({"jsonrpc": "2.0", **message}).encode()
            process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))  # type: ignore[union-attr]

        send({"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": CAPABILITIES}})
        send({"method": "initialized", "params": {}})
        for number in range(2, 3_000):
            send({"id": number, "method": "no/such/method" + "x" * 80, "params": {}})
        send({"method": "exit"})
        assert process.wait(PATIENCE) == 1
