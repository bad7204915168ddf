"""`infill lsp`: runs the language server for one editor over stdio, a Unix socket or loopback TCP, until the editor disconnects.

Plain `infill lsp` over stdio does not use this module: `cli.main` calls `lsp.start`, because Typer takes a fifth of the start-up time.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat
import sys
from pathlib import Path

import typer

from infill.cli import output
from infill.errors import RequestError
from infill.lsp import gate, start
from infill.privacy import network

app = typer.Typer()

VARIABLE = "INFILL_LSP_SECRET"
"""Environment variable with the secret of --tcp, for editors that need to know it before the server starts."""
SHORTEST_SECRET = 16
BACKLOG = 16
"""Connections that the system queues until they are accepted."""


@app.command(help="Run the language server. An editor starts this; over stdio unless told otherwise.")
def lsp(
    stdio: bool = typer.Option(False, "--stdio", help="Speak on stdin and stdout: the default."),
    socket_path: Path | None = typer.Option(None, "--socket", metavar="PATH", help="Wait for one editor on a Unix socket."),
    tcp: str | None = typer.Option(
        None,
        "--tcp",
        metavar="HOST:PORT",
        help="Wait for one editor on a TCP port of this machine; port 0 picks one. The editor sends the printed secret in initializationOptions.",
    ),
    any_host: bool = typer.Option(
        False, "--any-host", help="Allow --tcp on a host that is not this machine: anyone who can reach the port can read your files."
    ),
    offline: bool = typer.Option(False, "--offline", help="Try no connection but to this machine itself."),
    trust_workspace: bool = typer.Option(False, "--trust-workspace", help="Take every setting from the workspace, endpoints included."),
) -> None:
    if sum((stdio, socket_path is not None, tcp is not None)) > 1:
        raise typer.BadParameter("choose one of --stdio, --socket and --tcp.")
    address = _address(tcp, any_host) if tcp is not None else None
    with contextlib.ExitStack() as open_things:
        if socket_path is not None:
            streams = _accepted(gate.Gate(_unix_socket(socket_path, open_things)), open_things)
        elif address is not None:
            streams = _accepted(gate.Gate(_tcp_socket(address, open_things), _secret()), open_things)
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
    if sys.platform == "win32":
        raise RequestError("There are no Unix sockets on this system.", "Use --tcp 127.0.0.1:0.")
    _remove_stale(path)
    listener = open_things.enter_context(socket.socket(socket.AF_UNIX))
    try:
        # owner only, from its creation on
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        open_things.callback(path.unlink, missing_ok=True)
        listener.listen(BACKLOG)
    except OSError as exc:
        raise RequestError(f"No socket can be made at {path}: {exc.strerror or exc}.", "Name a path that does not exist yet.") from exc
    output.note(f"Listening on {path}")
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket of a killed server: one that belongs to this user and has no listener."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        status = path.lstat()
        if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.getuid():
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()


def _tcp_socket(address: tuple[str, int], open_things: contextlib.ExitStack) -> socket.socket:
    host, port = address
    try:
        listener = open_things.enter_context(
            socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG)
        )
    except OSError as exc:
        raise RequestError(f"Nothing can listen on {host}:{port}: {exc.strerror or exc}.", "Choose another port, or 0 for any.") from exc
    output.note(f"Listening on {host}:{listener.getsockname()[1]}")
    return listener


def _secret() -> str:
    """The secret that the editor must send in `initializationOptions.secret`: from the environment, else a new one, which is printed."""
    if given := os.environ.get(VARIABLE, ""):
        if len(given) < SHORTEST_SECRET:
            raise RequestError(f"{VARIABLE} is shorter than {SHORTEST_SECRET} characters.", "Unset it to have one made.")
        return given
    secret = secrets.token_urlsafe(32)
    output.note(f"Secret: {secret}")
    return secret


def _accepted(door: gate.Gate, open_things: contextlib.ExitStack) -> start.Streams:
    connection, reading = door.editor()
    open_things.enter_context(connection)
    streams = open_things.enter_context(reading), open_things.enter_context(connection.makefile("wb"))
    # the reading thread must release its stream before the stream can be closed: the hang-up ends its read
    open_things.callback(gate.hang_up, connection)
    return streams
