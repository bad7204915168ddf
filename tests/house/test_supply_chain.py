"""Dependencies have upper bounds, and CI installs the versions and hashes in the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomli

from infill import llama_package

NAME = re.compile(r"^[A-Za-z0-9._-]+")


def _project(root: Path) -> dict[str, Any]:
    return tomli.loads((root / "pyproject.toml").read_text("utf-8"))["project"]


def _dependencies(root: Path) -> list[str]:
    project = _project(root)
    return [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]


def _normal(requirement: str) -> str:
    found = NAME.match(requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _locked(root: Path) -> dict[str, str]:
    """Name -> its block in the lock file."""
    file = root / "requirements.lock"
    if not file.exists():
        pytest.skip("only the repository has the lock file")
    return {_normal(block): block for block in re.split(r"\n(?=[A-Za-z])", file.read_text("utf-8")) if NAME.match(block)}


def test_every_dependency_has_an_upper_bound(root: Path) -> None:
    assert not [each for each in _dependencies(root) if "<" not in each.partition(";")[0]]


def test_every_dependency_is_in_the_lock_file(root: Path) -> None:
    assert {_normal(each) for each in _dependencies(root)} <= set(_locked(root))


def test_every_locked_package_has_one_version_and_hashes_and_names_no_host(root: Path) -> None:
    for name, block in _locked(root).items():
        assert re.match(r"[A-Za-z0-9._-]+==\S+", block), name
        assert "--hash=sha256:" in block, name
        assert "://" not in block, name


def test_infill_build_accepts_the_source_that_is_locked_and_no_other(root: Path, tmp_path: Path) -> None:
    block = _locked(root)["llama-cpp-python"]
    assert block.startswith(f"llama-cpp-python=={llama_package.VERSION} ")
    assert llama_package.SOURCE_SHA256 in block
    arguments = llama_package.source_arguments(tmp_path)
    assert "--require-hashes" in arguments
    assert Path(arguments[-1]).read_text("utf-8") == f"llama-cpp-python=={llama_package.VERSION} --hash=sha256:{llama_package.SOURCE_SHA256}\n"


def test_ci_installs_from_the_lock_file(root: Path) -> None:
    script = root / ".ci" / "run"
    if not script.exists():
        pytest.skip("only the repository has the script")
    text = script.read_text("utf-8")
    assert "--require-hashes" in text
    assert "PIP_CONSTRAINT" in text
