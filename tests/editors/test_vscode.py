"""The VS Code extension, packaged and installed as a person would, in a real VS Code; the scenarios are in the files `vscode*.test.mjs`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

import wheels

HERE = Path(__file__).parent
EXTENSION = HERE.parents[1] / "clients" / "vscode"

pytestmark = pytest.mark.editors


@pytest.fixture(scope="session")
def environment(code_server: Path, editors: Path) -> dict[str, str]:
    return os.environ | {"INFILL_EDITORS": str(editors), "PATH": f"{code_server.resolve().parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def extension(environment: dict[str, str]) -> Path:
    """The extension's folder with its dependencies."""
    if not (EXTENSION / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=EXTENSION, check=True)
    return EXTENSION


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of what the server needs and of what builds it: pip finds everything there, offline."""
    folder = tmp_path_factory.mktemp("wheels")
    project = tomli.loads((EXTENSION.parents[1] / "pyproject.toml").read_text("utf-8"))
    wheels.pack_all([*project["project"]["dependencies"], *project["build-system"]["requires"]], folder)
    return folder


@pytest.fixture(scope="session")
def vsix(extension: Path, packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    package = tmp_path_factory.mktemp("vsix") / "infill.vsix"
    offline = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packed)}
    subprocess.run([sys.executable, "scripts/server.py"], cwd=extension, env=offline, check=True)
    subprocess.run(
        ["npx", "vsce", "package", "--no-dependencies", "--no-rewrite-relative-links", "-o", str(package)],
        cwd=extension,
        check=True,
        capture_output=True,
    )
    return package


def test_the_extension_passes_its_types_lint_and_unit_tests(extension: Path) -> None:
    done = subprocess.run(["npm", "run", "-s", "check"], cwd=extension, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# many minutes on a busy machine; the scenarios have deadlines of their own, and name what hung
@pytest.mark.timeout(1300)
@pytest.mark.parametrize("scenarios", ["vscode", "vscode_work", "vscode_remote", "vscode_first", "vscode_speed"])
def test_a_person_works_in_vs_code(
    scenarios: str, code_server: Path, environment: dict[str, str], vsix: Path, packed: Path, infill: list[str], artefacts: Path
) -> None:
    own = {
        "INFILL_VSIX": str(vsix),
        "INFILL_SERVER": infill[0],
        "INFILL_PYTHON": sys.executable,
        "INFILL_BASE_PYTHON": sys._base_executable,  # type: ignore[attr-defined]
        "INFILL_WHEELS": str(packed),
        "INFILL_ARTEFACTS": str(artefacts),
    }
    done = subprocess.run(
        [str(code_server), "--test", "--test-reporter=spec", str(HERE / f"{scenarios}.test.mjs")],
        env=environment | own,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
