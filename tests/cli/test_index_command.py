"""`infill index`: build, ask and delete the index of a folder."""

from __future__ import annotations

import pytest
from commands import Shell

pytest.importorskip("tree_sitter", reason="the builder of the index needs tree-sitter")


def test_a_folder_is_indexed_asked_for_definitions_and_forgotten(shell: Shell) -> None:
    (shell.folder / "store.py").write_text('def open_store(path):\n    """Open a store."""\n', encoding="utf-8")
    (shell.folder / "main.py").write_text("from store import open_store\n\nopen_store(", encoding="utf-8")
    assert shell.run("index", "definitions", "main.py:3:12").code == 1
    built = shell.run("index", "rebuild", "--json").facts
    assert (built["state"], built["problem"]) == ("ready", "")
    assert built["files"] >= 2, "other tests leave files in the folder"
    found = shell.run("index", "definitions", "main.py:3:12", "--json").facts
    assert [(one["path"], one["signature"], one["doc"]) for one in found] == [("store.py", "def open_store(path):", "Open a store.")]
    assert "store.py:1" in shell.run("index", "definitions", "main.py:3:12").out
    said = shell.run("index", "status", "--json").facts
    assert (said["enabled"], [one["files"] for one in said["indexes"]]) == (False, [built["files"]])
    assert len(shell.run("index", "delete", "--json").facts["deleted"]) == 1
    assert shell.run("index", "status", "--all", "--json").facts["indexes"] == []


def test_a_folder_that_is_not_there_is_named(shell: Shell) -> None:
    ran = shell.run("index", "rebuild", "nowhere")
    assert ran.code == 1
    assert "There is no folder nowhere" in ran.err
