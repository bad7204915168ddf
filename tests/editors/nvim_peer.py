"""A llama-server as far as a test of overtaken questions needs one: the first answer never ends, and it is seen when nobody waits for it any more."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Peer(ThreadingHTTPServer):
    """Tells a test what it was asked, and which answers were no longer wanted."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: queue.Queue[str] = queue.Queue()
        """The text before the cursor, of each question."""
        self.dropped: queue.Queue[str] = queue.Queue()
        """The same, of each question whose connection was closed before the answer's end."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Peer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named so by the library
        """Nothing: a test's output is its own."""

    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "data": [{"id": "slow", "object": "model"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        prefix = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input_prefix"]
        first = self.server.asked.empty() and prefix.endswith("return ")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self._say("nobody_waits_for_this" if first else " + second")
        self.server.asked.put(prefix)
        if not first:
            self._say("", stop=True, stop_type="eos", tokens_predicted=1)
        elif not self.connection.recv(1):
            self.server.dropped.put(prefix)

    def _say(self, content: str, **more: object) -> None:
        message = {"index": 0, "content": content, "stop": False} | more
        self.wfile.write(b"data: " + json.dumps(message).encode() + b"\n\n")
        self.wfile.flush()


@contextmanager
def peer() -> Iterator[Peer]:
    with Peer() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield one
        one.shutdown()
        thread.join()
