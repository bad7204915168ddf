"""What is published installs with the tools that people use, in an empty home, and satisfies the index's own checks."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def empty_home(home: Path, packed: Path) -> dict[str, str]:
    """Nothing of the caller's settings; packages come from this machine only."""
    home.mkdir()
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "UV_", "PIPX_", "XDG_", "INFILL_", "PYTHONPATH", "VIRTUAL_ENV"))
    }
    local = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packed), "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(packed), "UV_PYTHON_DOWNLOADS": "never"}
    return mine | local | {"HOME": str(home), "USERPROFILE": str(home)}


@pytest.mark.parametrize("tool", ["uv", "pipx"])
def test_the_wheel_installs_as_a_tool_in_an_empty_home(tool: str, packed: Path, infill_wheel: Path, tmp_path: Path) -> None:
    if find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    environment = empty_home(tmp_path / "home", packed)
    python = sys._base_executable  # type: ignore[attr-defined]
    options = {"uv": ["tool", "install", "--python", python], "pipx": ["install", "--python", python]}[tool]
    done = subprocess.run([sys.executable, "-m", tool, *options, str(infill_wheel)], env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    program = tmp_path / "home" / ".local" / "bin" / ("infill.exe" if sys.platform == "win32" else "infill")
    said = subprocess.run([program, "--version"], env=environment, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0
    assert said.stdout.startswith("infill ")


def test_the_wheel_passes_the_checks_of_the_index(infill_wheel: Path) -> None:
    for module, arguments in (("twine", ["check", "--strict"]), ("check_wheel_contents", [])):
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
        done = subprocess.run([sys.executable, "-m", module, *arguments, str(infill_wheel)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
