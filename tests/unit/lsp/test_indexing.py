"""When an editor's server has its workspace indexed, and what it says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_editor import GHOST, NewEditor

from infill.index import folders, queue
from infill.index.folders import IndexStatus

DEADLINE = 60.0
ON = {"context": {"index": True}}
WATCHES = {**GHOST, "workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[queue.Job | None]:
    """What waited each time that a builder was started."""
    found: list[queue.Job | None] = []
    monkeypatch.setattr("infill.lsp.indexing.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("infill.lsp.indexing.LOOK_SECONDS", 0.05)
    monkeypatch.setattr(queue, "start_builder", lambda: found.append(queue.first()))
    return found


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


async def until(condition: Callable[[], Any]) -> None:
    """Wait until `condition` is true."""

    async def look() -> None:
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)

    await asyncio.wait_for(look(), DEADLINE)


async def test_by_default_nothing_is_indexed(new_editor: NewEditor, workspace: Path, started: list[queue.Job | None]) -> None:
    editor = new_editor()
    await editor.start(root=workspace)
    editor.notify("textDocument/didSave", textDocument={"uri": (workspace / "a.py").as_uri()})
    assert (await editor.command("infill.status"))["index"] == []
    assert editor.server.indexing._waiting is None
    assert not started


async def test_the_workspace_is_indexed_with_the_privacy_settings(new_editor: NewEditor, workspace: Path, started: list[queue.Job | None]) -> None:
    editor = new_editor()
    await editor.start(WATCHES, {**ON, "privacy": {"exclude": ["a.py"]}}, workspace)
    await until(lambda: started)
    job = started[-1]
    assert job is not None
    assert (Path(job.folder), job.privacy.exclude) == (workspace, ["a.py"])
    await until(lambda: any("workspace/didChangeWatchedFiles" in str(asked) for asked in editor.asked))


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("workspace/didChangeWatchedFiles", {"changes": [{"uri": "file:///a.py", "type": 2}]}),
        ("textDocument/didSave", {"textDocument": {"uri": "file:///a.py"}}),
    ],
)
async def test_changed_files_are_indexed_again(
    new_editor: NewEditor, workspace: Path, started: list[queue.Job | None], method: str, params: dict[str, Any]
) -> None:
    editor = new_editor()
    await editor.start(options=ON, root=workspace)
    await until(lambda: started)
    before = len(started)
    editor.notify(method, **params)
    await until(lambda: len(started) > before)
    assert started[-1] is not None


async def test_the_status_tells_of_the_index_and_what_is_wrong_is_said_once(
    new_editor: NewEditor, workspace: Path, started: list[queue.Job | None]
) -> None:
    editor = new_editor()
    folders.write_status(IndexStatus(folder=str(workspace), files=3, rebuilt="The index was damaged and has been built anew."))
    await editor.start(options=ON, root=workspace)
    assert [one["files"] for one in (await editor.command("infill.status"))["index"]] == [3]
    await until(lambda: "damaged" in str(editor.said("window/showMessage")))
    folders.write_status(IndexStatus(folder=str(workspace), files=4, rebuilt="The index was damaged and has been built anew."))
    await editor.command("infill.status")
    assert str(editor.said("window/showMessage")).count("damaged") == 1


async def test_a_builder_that_cannot_be_started_is_told(new_editor: NewEditor, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise OSError("no more processes")

    monkeypatch.setattr("infill.lsp.indexing.PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(queue, "start_builder", fails)
    editor = new_editor()
    await editor.start(options=ON, root=workspace)
    await until(lambda: "no more processes" in str(editor.said("window/showMessage")))
    assert (await editor.command("infill.status"))["kind"]
