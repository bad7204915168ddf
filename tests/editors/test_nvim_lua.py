"""The plugin's Lua by itself: unit tests in a headless Neovim, luacheck (Debian: lua-check) and stylua (npm, brought by `tests/editors/install`)."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.editors
CLIENT = Path(__file__).parents[2] / "clients" / "nvim"
UNITS = Path(__file__).with_name("nvim_unit.lua")
SENTENCES = re.findall(r"^test\('(.*)', function", UNITS.read_text("utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def results(nvim: Path) -> dict[str, str]:
    """What was wrong, by the test's sentence; one run for all of them."""
    done = subprocess.run([str(nvim), "--clean", "-l", str(UNITS)], capture_output=True, text=True, check=True)
    told: dict[str, str] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("sentence", SENTENCES)
def test_in_lua(sentence: str, results: dict[str, str]) -> None:
    assert results[sentence] == ""


def test_every_unit_test_in_lua_is_reported(results: dict[str, str]) -> None:
    assert sorted(results) == sorted(SENTENCES)
    assert len(SENTENCES) >= 20


@pytest.mark.skipif(shutil.which("luacheck") is None, reason="luacheck is not installed (Debian: lua-check)")
def test_luacheck_has_nothing_to_say() -> None:
    done = subprocess.run(["luacheck", "--no-color", "-q", ".", str(UNITS)], cwd=CLIENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_lua_file_is_formatted_by_stylua(editors: Path) -> None:
    modules = editors / "lua" / "node_modules"
    if not modules.exists():
        pytest.skip("stylua is not installed: run tests/editors/install")
    node = editors / "vscode" / "node24"
    command = [str(node) if node.exists() else "node", str(CLIENT / "scripts" / "format.mjs"), "--check", str(UNITS)]
    done = subprocess.run(command, env=os.environ | {"NODE_PATH": str(modules)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 not formatted" in done.stdout
