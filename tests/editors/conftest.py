"""Where the real editors are. Without them these tests are skipped; `tests/editors/install` brings them."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.editors


def _editors() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("INFILL_EDITORS") or cache / "infill-editors")


@pytest.fixture(scope="session")
def editors() -> Path:
    """The folder that `tests/editors/install` filled."""
    return _editors()


@pytest.fixture(scope="session")
def nvim(editors: Path) -> Path:
    program = editors / "nvim" / "nvim"
    if not program.exists():
        pytest.skip("Neovim is not installed: run tests/editors/install")
    return program


@pytest.fixture(scope="session")
def code_server(editors: Path) -> Path:
    """The Node that runs code-server."""
    node = editors / "vscode" / "node24"
    if not node.exists() or shutil.which("chromium") is None:
        pytest.skip("VS Code is not installed: run tests/editors/install")
    return node


@pytest.fixture(scope="session")
def infill() -> list[str]:
    """The command of the program under test."""
    return [str(Path(sys.executable).with_name("infill"))]


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots and figures are kept."""
    kept = os.environ.get("INFILL_ARTEFACTS")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("artefacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
