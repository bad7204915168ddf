"""infill beside a real Ollama. Where no `ollama` program is installed, it is skipped with a sentence."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from infill.bench import beside, ollama
from infill.bench.weights import weights
from infill.engine import launch
from infill.settings import Engine


@pytest.fixture
def binary() -> Path:
    found = ollama.program()
    if found is None:
        pytest.skip(f"No `ollama` program is on the PATH or named by {ollama.VARIABLE}.")
    return found


def _names_of_runners(folder: str) -> list[str]:
    return [
        " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]) if folder in " ".join(process.info["cmdline"] or ())
    ]


@pytest.mark.slow
async def test_a_real_ollama_answers_the_same_and_is_gone_afterwards(smol_file: Path, binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "TOKENS", 48)
    monkeypatch.setattr(beside, "ENOUGH", 24)
    found = await beside.compare(weights(str(smol_file)), Engine(threads=1), 1, binary, lambda _: None)
    assert found.peer.startswith("Ollama ")
    assert all(figure.ratio > 0 for figure in found.figures)
    assert not [row for row in found.rows if row.unknown]
    assert launch.running() is None
    assert not _names_of_runners("infill-ollama-")
