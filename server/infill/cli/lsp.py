"""`infill lsp`: runs the language server over stdio, a Unix socket or loopback TCP, for one editor, until it leaves.

stdout belongs to LSP: the real one is handed to the server alone, and whoever else writes to file descriptor 1 writes to stderr.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import BinaryIO

import typer

from infill import log, settings_file
from infill.cli import output
from infill.errors import RequestError
from infill.privacy import network

app = typer.Typer()

Streams = tuple[BinaryIO, BinaryIO]


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
    if offline:
        network.go_offline()
    with contextlib.ExitStack() as open_things:
        if socket_path is not None:
            streams = _accepted(_unix_socket(socket_path, open_things), open_things)
        elif address is not None:
            streams = _accepted(_tcp_socket(address, open_things), open_things)
        else:
            streams = _stdio()
        settings, problems = settings_file.load()
        log.to_file("lsp", settings.log_level)
        from infill.lsp.server import build

        build(settings, problems=problems, trusted=True if trust_workspace else None).start_io(*streams)


def _address(tcp: str, any_host: bool) -> tuple[str, int]:
    host, _, port = tcp.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65_535:
        raise typer.BadParameter(f"--tcp takes HOST:PORT, not {tcp!r}.")
    if not any_host and not network.is_loopback(host):
        raise typer.BadParameter(f"{host} is not this machine. With --any-host everybody who reaches the port could read your files.")
    return host, int(port)


def _stdio() -> Streams:
    # both are moved away: what a library prints, or a child process reads, must not come between the editor and us
    stdin, stdout = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    os.close(empty)
    sys.stdout = sys.stderr
    return os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb")


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


def _accepted(listener: socket.socket, open_things: contextlib.ExitStack) -> Streams:
    connection, _ = listener.accept()
    open_things.enter_context(connection)
    return open_things.enter_context(connection.makefile("rb")), open_things.enter_context(connection.makefile("wb"))
