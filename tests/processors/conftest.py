"""An emulated processor for a test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from emulation import Emulated, emulated


@pytest.fixture
def emulate() -> Iterator[Callable[[str, str], Emulated]]:
    """Make such a Python of a processor and the folder of a build of llama.cpp (empty: the installed one). Its engine is stopped afterwards."""
    qemu = shutil.which("qemu-x86_64")
    if qemu is None:
        pytest.skip("qemu-x86_64 is not installed (Debian: qemu-user)")
    folder = Path(tempfile.mkdtemp(prefix="inf-", dir="/tmp"))  # a socket's path must be short
    made: list[Emulated] = []

    def make(processor: str, build: str = "") -> Emulated:
        made.append(emulated(folder, qemu, processor, build))
        return made[-1]

    yield make
    for each in made:
        each.run("-m", "infill", "engine", "stop", timeout=120)
    shutil.rmtree(folder)
