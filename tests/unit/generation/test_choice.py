"""Which model writes code: what was chosen for just that, else whoever completes."""

from __future__ import annotations

from pathlib import Path

import pytest

from infill import state
from infill.generation.choice import chosen
from infill.settings import resolve

BASE, FAR = "local:bundled", "openai:work/coder"
REMOTE = {"providers": {"order": ["openai:work", "local"], "remote": {"work": {"kind": "openai"}}}}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("options", "remembered", "model", "follows"),
    [
        pytest.param({}, {}, BASE, False, id="nothing is chosen"),
        pytest.param({"models": {"generate": FAR}}, {"generate": BASE}, FAR, True, id="the setting wins"),
        pytest.param({"models": {"complete": FAR}}, {"generate": BASE}, BASE, False, id="what was chosen for just this wins over whoever completes"),
        pytest.param({"models": {"complete": FAR}}, {}, FAR, True, id="the setting for completions stands for both"),
        pytest.param({}, {"complete": FAR}, FAR, True, id="so does the choice for completions"),
        pytest.param(REMOTE, {}, "", True, id="a remote provider is the first in the order"),
        pytest.param(REMOTE, {"complete": BASE}, "", True, id="also where a local model was chosen for when that one is away"),
        pytest.param(REMOTE, {"generate": BASE}, BASE, False, id="but not where a local one was chosen to write"),
    ],
)
def test_who_writes(options: dict[str, object], remembered: dict[state.Role, str], model: str, follows: bool) -> None:
    state.save(state.State(models=remembered))
    settings, problems = resolve(options)
    assert not problems
    assert chosen(settings, None) == (model, follows)


def test_the_workspaces_choice_is_nearer_than_the_users() -> None:
    state.save(state.State(models={"generate": BASE}, workspaces={"/project": {"generate": FAR}}))
    assert chosen(resolve({})[0], "/project") == (FAR, True)
    assert chosen(resolve({})[0], "/other") == (BASE, False)
