"""The VS Code extension's files match its sources: strings for translators, version, keys."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import infill


@pytest.fixture
def extension(root: Path) -> Path:
    return root / "clients" / "vscode"


@pytest.fixture
def package(extension: Path) -> dict[str, Any]:
    described: dict[str, Any] = json.loads((extension / "package.json").read_text("utf-8"))
    return described


def test_translators_find_every_string_of_the_extension(extension: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(extension / "scripts" / "strings.py"), "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr or "run `python clients/vscode/scripts/strings.py`"


def test_the_extension_has_the_server_s_version_and_the_changelog_tells_of_it(extension: Path, package: dict[str, Any]) -> None:
    assert package["version"] == infill.__version__
    assert f"\n## {package['version']}\n" in (extension / "CHANGELOG.md").read_text("utf-8")


def test_the_extension_s_readme_names_every_key_that_it_binds(extension: Path, package: dict[str, Any]) -> None:
    readme = (extension / "README.md").read_text("utf-8").lower()
    assert not [bound["key"] for bound in package["contributes"]["keybindings"] if f"`{bound['key']}`" not in readme]


def test_a_workspace_that_is_not_trusted_chooses_no_model_and_exposes_no_file(package: dict[str, Any]) -> None:
    restricted = set(package["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"])
    settings = {name for group in package["contributes"]["configuration"] for name in group["properties"]}
    choosing = {name for name in settings if name.split(".")[1] in {"exclude", "models", "providers"}}
    assert choosing | {"infill.server.command", "infill.privacy.exclude"} <= restricted <= set(settings)


def test_commands_that_the_extension_offers_are_those_that_it_registers(extension: Path, package: dict[str, Any]) -> None:
    sources = "".join(source.read_text("utf-8") for source in (extension / "src").glob("*.ts"))
    assert not [offered["command"] for offered in package["contributes"]["commands"] if f"'{offered['command']}'" not in sources]
