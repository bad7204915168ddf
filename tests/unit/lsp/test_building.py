"""The editor's command that builds llama.cpp for this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infill.engine import build
from infill.errors import RequestError
from infill.lsp.building import BuildArgument, Building


class AtOnce:
    """Does the work where it stands, and keeps what was reported."""

    def __init__(self, stopped: bool = False) -> None:
        self.stopped = stopped
        self.said: list[tuple[float, str]] = []

    async def run(self, title: str, work: Any) -> Any:
        return work(lambda share, words: self.said.append((share, words)), lambda: self.stopped)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[build.BuildPlan]:
    """What was built; nothing really is."""
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))
    plans: list[build.BuildPlan] = []

    def pretend(plan: build.BuildPlan, progress: Any, cancelled: Any, index: str) -> object:
        progress(0.5, "fetching" if index else "compiling")
        plans.append(plan)
        return None if cancelled() else plan

    monkeypatch.setattr(build, "build", pretend)
    return plans


async def test_what_would_be_built_is_told_without_building(made: list[build.BuildPlan]) -> None:
    told = await Building(AtOnce()).build(BuildArgument(backend="vulkan", dry_run=True))  # type: ignore[arg-type]
    assert told["backend"] == "vulkan"
    assert "-DGGML_VULKAN=ON" in told["flags"]
    assert (told["built"], made) == (False, [])


async def test_a_build_reports_progress_and_says_what_comes_of_it(made: list[build.BuildPlan]) -> None:
    work = AtOnce()
    told = await Building(work).build(BuildArgument(backend="cpu"))  # type: ignore[arg-type]
    assert told["built"]
    assert "next start" in told["message"]
    assert work.said == [(0.5, "compiling")]
    assert [plan.backend for plan in made] == ["cpu"]


async def test_a_cancelled_build_is_told(made: list[build.BuildPlan]) -> None:
    with pytest.raises(RequestError, match="cancelled"):
        await Building(AtOnce(stopped=True)).build(BuildArgument())  # type: ignore[arg-type]


async def test_a_prebuilt_one_is_tried_where_the_editor_asks_for_it(made: list[build.BuildPlan]) -> None:
    work = AtOnce()
    await Building(work).build(BuildArgument(backend="cpu", prebuilt=True))  # type: ignore[arg-type]
    assert work.said == [(0.5, "fetching")]
