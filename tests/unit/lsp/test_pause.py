"""Suggestions only by request: by a setting, and on battery."""

from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest
from scripted_editor import NewEditor

from infill.lsp import pause
from infill.lsp.pause import Pause
from infill.settings import Completion


async def test_with_automatic_suggestions_off_they_come_by_request_only(new_editor: NewEditor) -> None:
    editor = new_editor()
    await editor.start(options={"completion": {"automatic": False}})
    editor.open("x = ")
    assert await editor.ghosts(0, 4) == []
    assert await editor.ghosts(0, 4, kind=1)


def test_on_battery_suggestions_are_paused_where_the_setting_says_so() -> None:
    plugged = [False]
    now = [0.0]
    paused = Pause(lambda: not plugged[0], lambda: now[0])
    wanted = Completion(pause_on_battery=True)
    assert paused.reason(Completion()) == ""
    assert paused.reason(wanted) == pause.BATTERY
    plugged[0] = True
    assert paused.reason(wanted) == pause.BATTERY, "the system is not asked at every key"
    now[0] = pause.LOOK_SECONDS
    assert paused.reason(wanted) == ""


@pytest.mark.parametrize(
    ("found", "expected"), [(None, False), (SimpleNamespace(power_plugged=None), False), (SimpleNamespace(power_plugged=False), True)]
)
def test_a_machine_without_a_battery_is_never_on_battery(monkeypatch: pytest.MonkeyPatch, found: object, expected: bool) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: found, raising=False)
    assert pause.on_battery() is expected


def test_a_system_that_cannot_tell_is_not_on_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise FileNotFoundError("/sys")

    monkeypatch.setattr(psutil, "sensors_battery", fail, raising=False)
    assert not pause.on_battery()
    monkeypatch.delattr(psutil, "sensors_battery")
    assert not pause.on_battery()
