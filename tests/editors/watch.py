"""Stands between an editor and its server, passes everything on, and notes how long each inline completion took and what `infill.explain` says of it.

usage: python watch.py FILE.jsonl COMMAND...
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any


def receive(stream: IO[bytes]) -> bytes | None:
    """The body of the next message; None: there is none any more."""
    length = 0
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return stream.read(length) if length else None


def send(stream: IO[bytes], body: bytes) -> None:
    stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    stream.flush()


class Watch:
    """One server, its editor, and the file of measurements."""

    def __init__(self, server: subprocess.Popen[bytes], noted: Path) -> None:
        assert server.stdin is not None
        assert server.stdout is not None
        self._to_server = server.stdin
        self._from_server = server.stdout
        self._noted = noted
        self._writing = threading.Lock()
        self._asked: dict[Any, float] = {}
        self._milliseconds: dict[str, float] = {}
        """How long an answer took, by the number of the question what `infill.explain` says of it."""

    def _tell(self, body: bytes) -> None:
        with self._writing:
            send(self._to_server, body)

    def pass_questions(self) -> None:
        while (body := receive(sys.stdin.buffer)) is not None:
            message = json.loads(body)
            if message.get("method") == "textDocument/inlineCompletion":
                self._asked[message["id"]] = time.perf_counter()
            self._tell(body)
        self._to_server.close()

    def pass_answers(self) -> None:
        while (body := receive(self._from_server)) is not None:
            message = json.loads(body)
            number = None if "method" in message else message.get("id")
            if number in self._milliseconds:
                self._explained(self._milliseconds.pop(number), message.get("result") or {})
                continue
            send(sys.stdout.buffer, body)
            if number in self._asked:
                self._explain(1000 * (time.perf_counter() - self._asked.pop(number)))

    def _explain(self, milliseconds: float) -> None:
        number = f"watch-{time.monotonic_ns()}"
        self._milliseconds[number] = milliseconds
        params = {"command": "infill.explain", "arguments": []}
        self._tell(json.dumps({"jsonrpc": "2.0", "id": number, "method": "workspace/executeCommand", "params": params}).encode())

    def _explained(self, milliseconds: float, explained: dict[str, Any]) -> None:
        if (explained.get("answer") or {"complete": True})["complete"]:
            self._note(milliseconds, explained)
        else:
            # the model goes on behind what was answered: its own account comes when it has ended
            threading.Timer(0.05, self._explain, [milliseconds]).start()

    def _note(self, milliseconds: float, explained: dict[str, Any]) -> None:
        answer = explained.get("answer") or {}
        noted = {
            "suggestions": explained.get("suggestions", 0),
            "source": explained.get("source"),
            "answered": milliseconds,
            "waited": explained.get("timings", {}).get("waitedMs"),
            "model": (answer.get("evaluateMs") or 0) + (answer.get("generateMs") or 0),
        }
        with self._noted.open("a") as stream:
            stream.write(json.dumps(noted) + "\n")


def main() -> int:
    noted, *command = sys.argv[1:]
    if "lsp" not in command:
        return subprocess.call(command)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        watch = Watch(server, Path(noted))
        threading.Thread(target=watch.pass_questions, daemon=True).start()
        watch.pass_answers()
        return server.wait()


if __name__ == "__main__":
    sys.exit(main())
