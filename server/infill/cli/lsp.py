"""`infill lsp`: runs the language server over stdio, a Unix socket or loopback TCP, for one editor, until it leaves.

What editors start, `infill lsp` over stdio, does not come by here: `cli.main` goes straight to `lsp.start`, for Typer costs a fifth of the start.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import typer

from infill.cli import output
from infill.errors import RequestError
from infill.lsp import start
from infill.privacy import network

app = typer.Typer()


@app.command(help="Run the language server. An editor starts this; over stdio unless told otherwise.")
def lsp(
    stdio: bool = typer.Option(False, "--stdio", help="Speak on stdin and stdout: the default."),
    socket_path: Path | None = typer.Option(None, "--socket", metavar="PATH", help="Wait for one editor on a Unix socket."),
    tcp: str | None = typer.Option(None, "--tcp", metavar="HOST:PORT", help="Wait for one editor on a TCP port of this machine; port 0 picks one."),
    any_host: bool = typer.Option(
        False, "--any-host", help="Allow --tcp on a host that is not this machine: whoever reaches the port reads your files."
    ),
    offline: bool = typer.Option(False, "--offline", help="Try no connection but to this machine itself."),
    trust_workspace: bool = typer.Option(False, "--trust-workspace", help="Take every setting from the workspace, endpoints included."),
) -> None:
    if sum((stdio, socket_path is not None, tcp is not None)) > 1:
        raise typer.BadParameter("choose one of --stdio, --socket and --tcp.")
    address = _address(tcp, any_host) if tcp is not None else None
    with contextlib.ExitStack() as open_things:
        if socket_path is not None:
            streams = _accepted(_unix_socket(socket_path, open_things), open_things)
        elif address is not None:
            streams = _accepted(_tcp_socket(address, open_things), open_things)
        else:
            streams = start.stdio()
        start.serve(streams, offline=offline, trust_workspace=trust_workspace)


def _address(tcp: str, any_host: bool) -> tuple[str, int]:
    host, _, port = tcp.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65_535:
        raise typer.BadParameter(f"--tcp takes HOST:PORT, not {tcp!r}.")
    if not any_host and not network.is_loopback(host):
        raise typer.BadParameter(f"{host} is not this machine. With --any-host everybody who reaches the port could read your files.")
    return host, int(port)


def _unix_socket(path: Path, open_things: contextlib.ExitStack) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise RequestError("There are no Unix sockets on this system.", "Use --tcp 127.0.0.1:0.")
    listener = open_things.enter_context(socket.socket(socket.AF_UNIX))
    try:
        # owner only, from the first moment on
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        open_things.callback(path.unlink, missing_ok=True)
        listener.listen(1)
    except OSError as exc:
        raise RequestError(f"No socket can be made at {path}: {exc.strerror or exc}.", "Name a path that does not exist yet.") from exc
    output.note(f"infill waits at {path}")
    return listener


def _tcp_socket(address: tuple[str, int], open_things: contextlib.ExitStack) -> socket.socket:
    host, port = address
    try:
        listener = open_things.enter_context(socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1))
    except OSError as exc:
        raise RequestError(f"Nothing can listen on {host}:{port}: {exc.strerror or exc}.", "Choose another port, or 0 for any.") from exc
    output.note(f"infill waits on {host}:{listener.getsockname()[1]}")
    return listener


def _accepted(listener: socket.socket, open_things: contextlib.ExitStack) -> start.Streams:
    connection, _ = listener.accept()
    open_things.enter_context(connection)
    streams = open_things.enter_context(connection.makefile("rb")), open_things.enter_context(connection.makefile("wb"))
    # the thread that reads lets go of its stream, which else could not be closed, once nothing can come any more
    open_things.callback(_hang_up, connection)
    return streams


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
