"""Starts the server of `infill lsp` on given streams. Imports little, and late.

stdout is for LSP only: the server gets a duplicate of it, and file descriptor 1 is redirected to stderr.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import BinaryIO, NoReturn

Streams = tuple[BinaryIO, BinaryIO]


def serve(streams: Streams, *, offline: bool = False, trust_workspace: bool = False) -> NoReturn:
    """Serve one editor over these streams; ends the process with LSP's exit code."""
    # imported objects live until the process ends: garbage collection of them would only cost time, now and during requests
    gc.disable()
    from infill import log, settings_file
    from infill.lsp.server import build

    if offline:
        from infill.privacy import network

        network.go_offline()
    settings, problems = settings_file.load()
    log.to_file("lsp", settings.log_level)
    server = build(settings, problems=problems, trusted=True if trust_workspace else None)
    gc.freeze()
    gc.enable()
    server.start_io(*streams)


def stdio() -> Streams:
    """Duplicates of stdin and stdout, which are redirected: output of libraries and reads by child processes must not disturb LSP."""
    stdin, stdout = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    os.close(empty)
    sys.stdout = sys.stderr
    return os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb")
