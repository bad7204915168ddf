"""The types are right on every system, though the program runs on one of them only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_type_checker_has_nothing_to_say(root: Path, system: str) -> None:
    pytest.importorskip("mypy")
    # what is unreachable differs between the systems: it is looked for on this one alone
    elsewhere = [] if system == sys.platform else ["--no-warn-unreachable", "--cache-dir", f".mypy_cache/{system}"]
    done = subprocess.run([sys.executable, "-m", "mypy", "--platform", system, *elsewhere], cwd=root, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
