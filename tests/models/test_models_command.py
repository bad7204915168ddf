"""`infill models`, `tune` and `build` as a person types them; and from nothing to a completion by the new model in one command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub import Hub
from small_gguf import MODEL, write_catalogue

from infill import paths
from infill.errors import ModelError
from infill.models import planning, store

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def infill(home: Path, tmp_path: Path) -> Iterator[Run]:
    folder = tmp_path / "code"
    folder.mkdir()

    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "infill", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    yield run
    run("engine", "stop")


def test_from_nothing_to_a_completion_by_the_new_model_in_one_command(hub: Hub, infill: Run, tmp_path: Path) -> None:
    hub.add("maker/python", "python.gguf", paths.bundled_model())
    write_catalogue('id = "python"\ntitle = "Python"\nsource = "maker/python:python.gguf"\nfim_order = "spm"\nlicence = "MIT"')
    done = infill("models", "download", "python", "--use")
    assert "Python" in done.stdout
    assert "chosen for completions" in done.stdout
    assert "python: 1" in done.stderr, "progress is shown"
    assert "licence MIT" in done.stderr
    (tmp_path / "code" / "a.py").write_text("def add(a, b):\n    return a\n")
    answer = json.loads(infill("complete", "a.py:2:13", "--json").stdout)
    assert answer["model"] == "local:python"


def test_killed_at_any_moment_the_same_command_works_again(hub: Hub, infill: Run) -> None:
    hub.slow = 3_000_000
    command = [sys.executable, "-m", "infill", "models", "download", "small", "--use"]
    for enough in (0, 1, 3):
        killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert killed.stderr is not None
        for _ in range(enough):
            killed.stderr.readline()
        killed.kill()
        killed.communicate()
        with pytest.raises(ModelError):
            store.locate("small")
    hub.slow = 0
    infill("models", "download", "small", "--use")
    assert store.locate("small").path.read_bytes() == MODEL


def test_interrupting_by_hand_says_that_it_continues(hub: Hub, infill: Run) -> None:
    hub.fault("stall", after=400_000)
    stopped = subprocess.Popen(
        [sys.executable, "-m", "infill", "models", "download", "small"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs the tests in the background lets its children ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - it takes no lock
    )
    deadline = time.monotonic() + 60
    while not list(store.incoming_directory("small").glob("*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    stopped.send_signal(signal.SIGINT)
    _, said = stopped.communicate(timeout=30)
    assert stopped.returncode == 130
    assert "the same command continues" in said
    listed = json.loads(infill("models", "available", "--json").stdout)
    assert listed["storage"]["incoming"] >= 0
    infill("models", "remove", "small", "--unfinished")
    assert store.storage().incoming == 0


def test_a_model_that_is_not_for_commercial_use_is_agreed_to_first(hub: Hub, infill: Run) -> None:
    write_catalogue('id = "free"\nsource = "maker/small-gguf:small-q8_0.gguf"\nlicence = "Research"\ncommercial = false')
    refused = infill("models", "download", "free", code=1)
    assert "not for commercial use (Research" in refused.stderr
    assert "--yes" in refused.stderr
    assert hub.sent == 0
    infill("models", "download", "free", "--yes")
    assert store.locate("free").path.read_bytes() == MODEL


def test_what_is_here_is_listed_shown_verified_chosen_and_removed(hub: Hub, infill: Run) -> None:
    infill("models", "download", "small")
    listed = json.loads(infill("models", "list", "--json").stdout)
    assert [model["id"] for model in listed["models"]] == ["local:bundled", "local:small"]
    assert listed["storage"]["used"] == len(MODEL)
    assert "maker/small-gguf at c0ffee" in infill("models", "show", "small").stdout
    assert "local:small is whole." in infill("models", "verify", "small").stdout
    assert "in this folder" in infill("models", "use", "small", "--here").stdout
    assert "chosen model" in infill("models", "remove", "small", code=1).stderr
    infill("models", "remove", "small", "--force")
    assert [each.id for each in store.installed()] == ["bundled"]


def test_tables_in_a_pipe_are_lines_of_tabs(infill: Run) -> None:
    lines = infill("models", "available").stdout.splitlines()
    row = next(line for line in lines if line.startswith("local:qwen2.5-coder-3b-q8_0\t"))
    assert "not commercial" in row


def test_a_file_is_imported_and_a_smaller_one_made_of_it(infill: Run, tmp_path: Path) -> None:
    assert "Neither Ollama" in infill("models", "import").stderr
    infill("models", "import", str(paths.bundled_model()), "--id", "mine")
    assert store.locate("mine").path == paths.bundled_model()
    infill("models", "quantize", "mine", "Q8_0")
    assert store.locate("mine-q8_0").path.is_file()


@pytest.mark.slow
def test_a_recommendation_names_a_model_and_says_why(infill: Run) -> None:
    done = infill("models", "recommend")
    assert done.stdout.startswith("local:")
    assert "tokens/s" in done.stderr
    assert "memory are free" in done.stderr or "GPU" in done.stderr


@pytest.mark.slow
def test_tuning_shows_a_table_and_can_be_undone(infill: Run, home: Path) -> None:
    file = paths.config_directory() / "settings.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('[engine]\nthreads = 1\nbatchSize = 256\nkvType = "f16"\n')
    done = infill("tune", "bundled")
    assert "as planned\t" in done.stdout
    assert "Kept:" in done.stderr
    assert "forgotten" in infill("tune", "bundled", "--reset").stdout
    assert not planning.forget("local:bundled")


def test_what_would_be_built_is_shown_without_building(infill: Run) -> None:
    found = json.loads(infill("build", "--backend", "vulkan", "--dry-run", "--json").stdout)
    assert found["backend"] == "vulkan"
    assert "-DGGML_VULKAN=ON" in found["flags"]
    assert "no backend" in infill("build", "--backend", "abacus", code=1).stderr


def test_nothing_is_fetched_offline(hub: Hub, infill: Run) -> None:
    assert "switched off" in infill("--offline", "models", "download", "small", code=1).stderr
    assert not hub.requests
    assert os.environ["HF_ENDPOINT"] == hub.url
