"""From a started process to a server that listens: what `infill lsp` does once it knows its streams. Imports little, and late.

stdout belongs to LSP: the real one is handed to the server alone, and whoever else writes to file descriptor 1 writes to stderr.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import BinaryIO, NoReturn

Streams = tuple[BinaryIO, BinaryIO]


def serve(streams: Streams, *, offline: bool = False, trust_workspace: bool = False) -> NoReturn:
    """Serve one editor over these streams; ends the process with LSP's exit code."""
    # what is imported now stays for good: looking through it for garbage would only cost time, now and in the middle of a request
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
    """The process's own stdin and stdout, moved away: what a library prints, or a child process reads, must not come between the editor and us."""
    stdin, stdout = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    os.close(empty)
    sys.stdout = sys.stderr
    return os.fdopen(stdin, "rb"), os.fdopen(stdout, "wb")
