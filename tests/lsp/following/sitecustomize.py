"""Appends each call of an infill function as `file:function` to the file named by INFILL_TEST_FOLLOW, from this process and its child processes.

Put this folder on PYTHONPATH. Each line is written at once, so the lines of all processes are in the order of the calls.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

LOG = os.environ.get("INFILL_TEST_FOLLOW", "")
PACKAGE = os.sep + "infill" + os.sep
KNOWN: dict[Any, bytes] = {}


def _name(code: Any) -> bytes:
    _, found, inside = code.co_filename.rpartition(PACKAGE)
    return f"{Path(inside).as_posix()}:{code.co_name}\n".encode() if found and not code.co_name.startswith("<") else b""


def follow(frame: FrameType, event: str, _: Any) -> None:
    if event == "call":
        code = frame.f_code
        if code not in KNOWN:
            KNOWN[code] = _name(code)
        if KNOWN[code]:
            os.write(OUT, KNOWN[code])


if LOG:
    OUT = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    threading.setprofile(follow)
    sys.setprofile(follow)
