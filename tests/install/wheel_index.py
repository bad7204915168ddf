"""An index of wheels on loopback, one per backend below its address, that misbehaves where it is told to."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from infill.llama_package import VERSION


class WheelIndex:
    """Serves `/BACKEND/llama-cpp-python/` with a link to one wheel. `stalled` backends accept the connection and send nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stalled: set[str] = set()
        self._wheels: dict[str, tuple[Path, str]] = {}
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, backend: str, wheel: Path, sha256: str = "") -> None:
        """Serve a wheel for a backend; `sha256`: another hash than its own."""
        self._wheels[backend] = (wheel, sha256 or hashlib.sha256(wheel.read_bytes()).hexdigest())

    def __enter__(self) -> WheelIndex:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body for a path."""
        self.asked.append(path)
        backend = path.split("/")[1]
        if backend in self.stalled:
            self._released.wait(60)
        if backend not in self._wheels:
            return 404, b"not found"
        wheel, sha256 = self._wheels[backend]
        if path.endswith(".whl"):
            return 200, wheel.read_bytes()
        return 200, f'<a href="/{backend}/{wheel.name}#sha256={sha256}">{wheel.name}</a>'.encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = index.answer(self.path)
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/octet-stream" if self.path.endswith(".whl") else "text/html")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


def crashing_wheel(folder: Path) -> Path:
    """A wheel whose llama_cpp ends the process that imports it."""
    wheel = folder / f"llama_cpp_python-{VERSION}-py3-none-any.whl"
    name = f"llama_cpp_python-{VERSION}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llama_cpp/__init__.py", "import os\nos.abort()\n")
        archive.writestr(f"{name}/METADATA", f"Metadata-Version: 2.1\nName: llama-cpp-python\nVersion: {VERSION}\n")
        archive.writestr(f"{name}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}/RECORD", "")
    return wheel
