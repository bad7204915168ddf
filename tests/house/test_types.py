"""Type checks for every supported operating system, on any of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_type_checker_has_nothing_to_say(root: Path, system: str) -> None:
    pytest.importorskip("mypy")
    # unreachable code differs between systems: check it for the current one only
    elsewhere = [] if system == sys.platform else ["--no-warn-unreachable", "--cache-dir", f".mypy_cache/{system}"]
    done = subprocess.run([sys.executable, "-m", "mypy", "--platform", system, *elsewhere], cwd=root, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
