"""A hub of models on loopback that speaks the Hugging Face hub's protocol, and misbehaves when told to.

In a test:        with Hub() as hub: hub.add("owner/name", "model.gguf", content); ... hub.url
As a process:     python tests/models/hub.py owner/name:model.gguf=/path/to/file.gguf [--slow BYTES_PER_SECOND] [--port PORT]
                  prints its address as the first line, and serves until its standard input ends or it is killed.

Point HF_ENDPOINT to its address. Downloads are redirected to another origin, as to the real hub's content network: `localhost`, not 127.0.0.1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

COMMIT = "c0ffee" + "0" * 34
CHUNK = 16 * 1024


@dataclass
class Fault:
    """What goes wrong with one answer to GET of a file's content; `times` answers, then no more."""

    kind: str
    """`drop` (the connection ends), `reset` (it is torn down), `short` (fewer bytes than promised, politely), `corrupt`, `status`, `whole` (Range is
    ignored), `stall` (nothing more until `hub.release`)."""
    after: int = 0
    """Bytes that are sent before it happens."""
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1


@dataclass
class Stored:
    path: Path | None
    content: bytes
    sha256: str
    lfs: bool = True
    etag: str = ""
    """As told, which may be a lie."""

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path else len(self.content)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        if self.path is None:
            for at in range(start, end, CHUNK):
                yield self.content[at : min(end, at + CHUNK)]
            return
        with self.path.open("rb") as stream:
            stream.seek(start)
            while (left := end - stream.tell()) > 0:
                yield stream.read(min(CHUNK, left))


@dataclass
class Seen:
    """One request that arrived."""

    method: str
    path: str
    range: str
    authorization: str
    host: str


class Hub:
    """The server; `add` files, `fault` the next answers, look at `requests`."""

    def __init__(self, port: int = 0) -> None:
        self.files: dict[tuple[str, str], Stored] = {}
        self.revisions: dict[str, set[str]] = {}
        self.refusals: dict[str, tuple[int, str]] = {}
        """Repository -> status and X-Error-Code of every request about it."""
        self.metadata_faults: list[Fault] = []
        self.faults: list[Fault] = []
        self.slow = 0
        """Bytes a second, 0: as fast as it goes."""
        self.token = ""
        """Required of every request to the hub itself, once set."""
        self.requests: list[Seen] = []
        self.release = threading.Event()
        self.sent = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, repository: str, name: str, content: bytes | Path, *, revision: str = COMMIT, lfs: bool = True, etag: str = "") -> Stored:
        path = content if isinstance(content, Path) else None
        data = b"" if isinstance(content, Path) else content
        digest = _digest(path) if path else hashlib.sha256(data).hexdigest()
        stored = self.files[repository, name] = Stored(path, data, digest, lfs, etag or digest)
        self.revisions.setdefault(repository, {"main"}).add(revision)
        return stored

    def fault(self, kind: str, after: int = 0, status: int = 500, times: int = 1, headers: dict[str, str] | None = None) -> None:
        self.faults.append(Fault(kind, after, status, headers or {}, times))

    def next_fault(self, faults: list[Fault]) -> Fault | None:
        with self._lock:
            if not faults:
                return None
            fault = faults[0]
            fault.times -= 1
            if fault.times <= 0:
                faults.pop(0)
            return fault

    def __enter__(self) -> Hub:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 22):
            digest.update(chunk)
    return digest.hexdigest()


class _Handler(BaseHTTPRequestHandler):
    """Answers for one hub: `Hub` gives each a subclass of its own."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - named so by the library
        """Nothing: a test's output is its own."""

    def _route(self) -> None:
        path = self.path.partition("?")[0]
        get = self.headers.get
        self.hub.requests.append(Seen(self.command, path, get("Range", ""), get("Authorization", ""), get("Host", "")))
        try:
            if found := re.fullmatch(r"/cdn/([^/]+/[^/]+)/(.+)", path):
                self._content(*found.groups())
            elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                self._resolve(*found.groups())
            elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
                self._tree(*found.groups())
            elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
                self._info(found[1], found[2] or "main")
            else:
                self._refuse(404, "RepoNotFound")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _refused(self, repository: str, revision: str) -> bool:
        if fault := self.hub.next_fault(self.hub.metadata_faults):
            self._refuse(fault.status, "", fault.headers)
        elif refusal := self.hub.refusals.get(repository):
            self._refuse(*refusal)
        elif self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._refuse(401, "RepoNotFound")
        elif repository not in self.hub.revisions:
            self._refuse(401, "RepoNotFound")  # the real hub does not tell a private repository from a missing one
        elif revision not in self.hub.revisions[repository]:
            self._refuse(404, "RevisionNotFound")
        else:
            return False
        return True

    def _resolve(self, repository: str, revision: str, name: str) -> None:
        if self._refused(repository, revision):
            return
        stored = self.hub.files.get((repository, name))
        if stored is None:
            self._refuse(404, "EntryNotFound", {"X-Repo-Commit": _commit(self.hub, repository)})
            return
        self.send_response(302)
        self.send_header("X-Repo-Commit", _commit(self.hub, repository))
        self.send_header("X-Linked-Etag" if stored.lfs else "ETag", f'"{stored.etag}"')
        self.send_header("X-Linked-Size", str(stored.size))
        self.send_header("Location", f"http://localhost:{self.hub.port}/cdn/{repository}/{name}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _tree(self, repository: str, revision: str) -> None:
        if self._refused(repository, revision):
            return
        listed = [
            {
                "type": "file",
                "oid": "0" * 40,
                "size": stored.size,
                "path": name,
                "lfs": {"oid": stored.etag, "size": stored.size, "pointerSize": 135},
            }
            for (owner, name), stored in sorted(self.hub.files.items())
            if owner == repository
        ]
        self._json(listed)

    def _info(self, repository: str, revision: str) -> None:
        if self._refused(repository, revision):
            return
        siblings = [{"rfilename": name} for owner, name in sorted(self.hub.files) if owner == repository]
        self._json({"_id": "0", "id": repository, "modelId": repository, "sha": _commit(self.hub, repository), "siblings": siblings, "tags": []})

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str = "", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _content(self, repository: str, name: str) -> None:
        stored = self.hub.files[repository, name]
        fault = self.hub.next_fault(self.hub.faults) if self.command == "GET" else None
        if fault and fault.kind == "status":
            self._refuse(fault.status, "", fault.headers)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and not (fault and fault.kind == "whole") else 0
        if wanted and start >= stored.size:
            self._refuse(416, "", {"Content-Range": f"bytes */{stored.size}"})
            return
        end = min(stored.size, int(wanted[2]) + 1) if wanted and wanted[2] else stored.size
        end = min(end, start + fault.after) if fault and fault.kind == "short" else end
        self.send_response(206 if wanted and (start or end < stored.size) else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        if start or end < stored.size:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{stored.size}")
        self.end_headers()
        if self.command == "GET":
            self._send(stored, start, end, fault)

    def _send(self, stored: Stored, start: int, end: int, fault: Fault | None) -> None:
        began, sent = time.monotonic(), 0
        for piece in stored.read(start, end):
            chunk = piece
            if fault and fault.kind in ("drop", "reset", "stall") and sent + len(chunk) > fault.after:
                self.wfile.write(chunk[: max(0, fault.after - sent)])
                self._break(fault)
                return
            if fault and fault.kind == "corrupt" and sent <= fault.after < sent + len(chunk):
                at = fault.after - sent
                chunk = chunk[:at] + bytes([chunk[at] ^ 0xFF]) + chunk[at + 1 :]
            self.wfile.write(chunk)
            sent += len(chunk)
            self.hub.sent += len(chunk)
            while self.hub.slow and sent / self.hub.slow > time.monotonic() - began:
                time.sleep(0.005)

    def _break(self, fault: Fault) -> None:
        self.wfile.flush()
        self.close_connection = True
        if fault.kind == "stall":
            self.hub.release.wait(60)
        elif fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def _commit(hub: Hub, repository: str) -> str:
    return next(revision for revision in hub.revisions[repository] if revision != "main")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="owner/name:file.gguf=/path")
    parser.add_argument("--slow", type=int, default=0)
    parser.add_argument("--port", type=int, default=0)
    chosen = parser.parse_args()
    with Hub(chosen.port) as hub:
        hub.slow = chosen.slow
        for each in chosen.files:
            address, _, path = each.partition("=")
            repository, _, name = address.partition(":")
            hub.add(repository, name, Path(path))
        sys.stdout.write(hub.url + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
