"""Generated pages are up to date, and pages refer only to things that exist."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import msgspec

from infill import settings


def test_the_page_of_settings_says_what_the_code_says(root: Path) -> None:
    pages = runpy.run_path(str(root / "docs" / "generate.py"))["pages"]()
    for path, text in pages.items():
        assert (root / path).read_text("utf-8") == text, f"{path} is stale: run `python docs/generate.py`"


def test_the_extension_s_settings_page_says_what_the_code_says(root: Path) -> None:
    check = [sys.executable, str(root / "clients" / "vscode" / "scripts" / "configuration.py"), "--check"]
    assert subprocess.run(check, capture_output=True, timeout=60).returncode == 0, "run `python clients/vscode/scripts/configuration.py`"


def test_every_setting_has_a_meaning_in_words() -> None:
    def wordless(section: type[settings.Section], path: str) -> list[str]:
        names = []
        for field in msgspec.structs.fields(section):
            if isinstance(field.type, type) and issubclass(field.type, settings.Section):
                names += wordless(field.type, f"{path}{field.encode_name}.")
            elif not _described(field.type):
                names.append(path + field.encode_name)
        return names

    assert not wordless(settings.Settings, "")


def _described(kind: object) -> bool:
    return any(isinstance(meta, msgspec.Meta) and meta.description for meta in getattr(kind, "__metadata__", ()))


def test_links_between_documents_lead_somewhere(root: Path, files: list[Path]) -> None:
    broken = []
    for page in (file for file in files if file.suffix == ".md"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(root)} -> {target}")
    assert not broken


def test_the_readme_has_the_two_commands_that_the_pipeline_runs(root: Path) -> None:
    start = re.search(r"^## Start\n(.*?)^## ", (root / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert start
    first, second = re.findall(r"```sh\n(.*?)```", start[1], re.DOTALL)[:2]
    assert "install.py" in first and "infill complete docs/examples/" in first
    assert "[test]" in second and "pytest" in second


def test_the_map_of_the_house_names_every_room(root: Path) -> None:
    text = (root / "docs" / "develop" / "architecture.md").read_text("utf-8")
    assert text.count("\n") <= 200
    rooms = [entry.name for entry in (root / "server" / "infill").iterdir() if (entry / "__init__.py").exists()]
    assert not [room for room in rooms if f"`{room}/`" not in text]


def test_every_test_that_the_threat_model_names_exists(root: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (root / "docs" / "develop" / "security.md").read_text("utf-8"))
    assert len(named) > 10
    assert not [
        f"{file}::{test}" for file, test in named if not re.search(rf"^(async )?def {test}\(", (root / file).read_text("utf-8"), re.MULTILINE)
    ]


def test_the_recipes_for_contributors_name_files_and_tests_that_exist(root: Path) -> None:
    named = re.findall(
        r"`(?:pytest |python )?((?:server|clients|tests|docs)/[\w./-]+(?: tests/[\w./-]+)*)", (root / "CONTRIBUTING.md").read_text("utf-8")
    )
    paths = {path for each in named for path in each.split()}
    assert len(paths) > 25
    assert not {path for path in paths if not (root / path).exists()}
