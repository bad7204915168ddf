"""Finds programs by name: always an absolute path in a folder of the search path.

`shutil.which` and Windows search the current folder first, which may be a cloned repository in which an editor started the server.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

WINDOWS = sys.platform == "win32"


def find(name: str, path: str | None = None) -> str | None:
    """The absolute path of a program; None if no absolute folder of `path` (by default `PATH`) has it. Relative folders are ignored."""
    path = os.environ.get("PATH", os.defpath) if path is None else path
    endings = os.environ.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").split(os.pathsep) if WINDOWS else [""]
    if any(name.lower().endswith(ending.lower()) for ending in endings if ending):
        endings = [""]
    folders = [Path(folder) for folder in path.split(os.pathsep) if Path(folder).is_absolute()]
    files = (folder / f"{name}{ending}" for folder in folders for ending in endings)
    return next((str(file) for file in files if file.is_file() and os.access(file, os.X_OK)), None)


def of_windows(name: str) -> str:
    """The path of a program that is part of Windows."""
    return str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", name))
