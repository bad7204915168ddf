"""Whether the definitions of what is used at a place are found: a golden set of 60 places in six languages, with its precision and recall."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli

pytest.importorskip("tree_sitter", reason="the builder of the index needs tree-sitter")

from infill.index import folders
from infill.index.build import Limits, build
from infill.index.lookup import definitions, language_of
from infill.index.queue import Job
from infill.index.uses import Use, uses

PROJECTS = tomli.loads((Path(__file__).parents[2] / "golden" / "definitions.toml").read_text("utf-8"))["project"]
LEAST = 0.8


def indexed(workspace: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = workspace / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert build(Job(folder=str(workspace)), limits=Limits(free=0)).state == "ready"


def found_at(workspace: Path, before: str, at: str) -> set[str]:
    return {f"{one.path}:{one.name}" for one in definitions(workspace, uses(before), at, language_of(at))}


@pytest.mark.parametrize("project", PROJECTS, ids=[project["language"] for project in PROJECTS])
def test_the_right_definitions_are_found(workspace: Path, project: dict[str, Any]) -> None:
    indexed(workspace, project["files"])
    right = wrong = missing = 0
    report = []
    for case in project["case"]:
        wanted, found = set(case["definitions"]), found_at(workspace, case["before"], project["at"])
        right, wrong, missing = right + len(wanted & found), wrong + len(found - wanted), missing + len(wanted - found)
        report += [f"{case['before']!r}: found {sorted(found)}, wanted {sorted(wanted)}"] * (found != wanted)
    assert len(project["case"]) == 10
    assert right / (right + wrong) >= LEAST, report
    assert right / (right + missing) >= LEAST, report


def test_names_that_the_file_defines_itself_are_not_looked_up(workspace: Path) -> None:
    indexed(workspace, {"a.py": "def half(n): ...\n", "b.py": "def half(n): ...\n"})
    assert not found_at(workspace, "from b import half\nhalf(", "a.py")
    assert found_at(workspace, "from b import half\nhalf(", "c.py") == {"b.py:half"}


def test_a_name_that_many_files_define_alike_is_left_out(workspace: Path) -> None:
    indexed(workspace, {f"f{number}.c": "int run(void) { return 1; }\n" for number in range(5)})
    assert not found_at(workspace, "run(", "other.c")
    assert found_at(workspace, '#include "f3.c"\n\nrun(', "other.c") == {"f3.c:run"}


@pytest.mark.parametrize("content", [None, b"", b"no database" * 1000])
def test_a_missing_or_damaged_index_has_no_definitions(workspace: Path, content: bytes | None) -> None:
    if content is not None:
        folders.of(workspace).mkdir(parents=True)
        folders.database(workspace).write_bytes(content)
    assert definitions(workspace, [Use("half", imported=True)], "a.py", "python") == []
