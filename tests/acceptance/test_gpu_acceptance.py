"""Runs the acceptance script for machines with a GPU on a machine without one, and reads its output files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infill.bench import weights
from infill.models import library
from infill.models.library import Built

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="the script is for bash")]


def script(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / "server" / "acceptance" / "gpu.sh"), "--out", str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, env={**os.environ, "PYTHON": sys.executable})


def test_each_step_of_the_acceptance_is_reported_in_json_and_in_a_table(tmp_path: Path) -> None:
    done = script(tmp_path, "--device", "cpu", "--step", "self-test", "--step", "two models")
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads((tmp_path / "gpu.json").read_text("utf-8"))["steps"]
    assert [(step["name"], step["state"]) for step in steps] == [("self-test", "passed"), ("two models", "passed")]
    assert all(f"| {step['name']} | passed |" in (tmp_path / "gpu.md").read_text("utf-8") for step in steps)


@pytest.mark.parametrize(("options", "said"), [(["--device", "tpu"], "cuda or cpu"), ([], "--source"), (["--fast", "1"], "Unknown option --fast")])
def test_options_that_cannot_work_are_refused_in_a_sentence(tmp_path: Path, options: list[str], said: str) -> None:
    done = script(tmp_path, *options)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_bench_measures_the_llama_cpp_that_infill_build_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))
    made = Built(directory=str(tmp_path / "built"), version="1", python=f"{sys.version_info[0]}.{sys.version_info[1]}", backend="cuda")
    (tmp_path / "built" / "llama_cpp").mkdir(parents=True)
    library.builds_directory().mkdir(parents=True)
    with weights.home(weights.weights("bundled")):
        assert library.current() is None
    (library.builds_directory() / "current.json").write_text(json.dumps({name: getattr(made, name) for name in made.__struct_fields__}), "utf-8")
    with weights.home(weights.weights("bundled")):
        assert library.current() == made
