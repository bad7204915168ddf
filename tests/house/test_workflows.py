"""Linters check the hosted workflows, which cannot run locally."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"


@pytest.fixture
def workflows(root: Path) -> list[str]:
    found = sorted(str(file) for file in (root / ".github" / "workflows").glob("*.yml"))
    assert found
    return found


def test_the_workflows_are_safe(workflows: list[str]) -> None:
    zizmor = shutil.which("zizmor", path=str(Path(sys.executable).parent))
    if zizmor is None:
        pytest.skip("zizmor is not installed")
    done = subprocess.run([zizmor, "--offline", "--no-progress", *workflows], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflows_are_valid(workflows: list[str]) -> None:
    if actionlint := shutil.which("actionlint"):
        command = [actionlint]
    elif go := shutil.which("go"):
        command = [go, "run", ACTIONLINT]
    else:
        pytest.skip("actionlint is not installed, nor Go to run it with")
    done = subprocess.run([*command, *workflows], capture_output=True, text=True, timeout=280)
    if "run" in command and ("dial tcp" in done.stderr or "lookup " in done.stderr):
        pytest.skip("actionlint cannot be fetched")
    assert done.returncode == 0, done.stdout + done.stderr
