"""Editors for the tests of this folder; nothing of the user's own is read or written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from scripted_editor import Editor, NewEditor

from infill.providers.fake import Script


@pytest.fixture
async def new_editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NewEditor]:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path / "home"))
    editors: list[Editor] = []

    def make(script: Script = ("done()",)) -> Editor:
        editors.append(Editor(script))
        return editors[-1]

    yield make
    for editor in editors:
        await editor.server._end()


@pytest.fixture
async def editor(new_editor: NewEditor) -> Editor:
    """One with ghost text, started, and a provider that always says `done()`."""
    one = new_editor()
    await one.start()
    return one
