"""Branches for other operating systems, simulated on this one. docs/develop/portability.md lists them."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infill import paths, settings_file, state
from infill.engine import launch, transport
from infill.models import gguf, kernels, store
from infill.models.fit import Plan


class HeldFile:
    """`os.replace` as on Windows while another program has the file open for the first few attempts."""

    def __init__(self, attempts: int) -> None:
        self.refusals = attempts
        self._replace = os.replace

    def __call__(self, source: Any, target: Any) -> None:
        if self.refusals:
            self.refusals -= 1
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        self._replace(source, target)


@pytest.fixture
def windows_replace(monkeypatch: pytest.MonkeyPatch):
    def hold(attempts: int) -> HeldFile:
        held = HeldFile(attempts)
        monkeypatch.setattr(state.os, "replace", held)
        monkeypatch.setattr(state, "REPLACE_TRIES", 5)
        monkeypatch.setattr(state, "REPLACE_PAUSE", 0.0)
        return held

    return hold


def test_a_file_that_a_virus_scanner_holds_is_replaced_when_it_lets_go(tmp_path: Path, windows_replace) -> None:
    (tmp_path / "state.json").write_text("old")
    windows_replace(4)
    state.write_atomically(tmp_path / "state.json", b"new")
    assert (tmp_path / "state.json").read_text() == "new"


def test_a_file_that_stays_open_is_an_error_and_nothing_is_left_behind(tmp_path: Path, windows_replace) -> None:
    (tmp_path / "state.json").write_text("old")
    windows_replace(100)
    with pytest.raises(PermissionError):
        state.write_atomically(tmp_path / "state.json", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]
    assert (tmp_path / "state.json").read_text() == "old"


def test_a_folder_is_renamed_when_its_files_are_closed(tmp_path: Path, windows_replace) -> None:
    (tmp_path / "staged").mkdir()
    windows_replace(2)
    state.replace(tmp_path / "staged", tmp_path / "model")
    assert (tmp_path / "model").is_dir()


@pytest.mark.parametrize("allowed", [True, False])
def test_the_engine_starts_in_a_job_that_does_not_let_processes_out(allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CreateProcess refuses CREATE_BREAKAWAY_FROM_JOB there (error 5), as in some terminals, editors and CI systems."""
    tried: list[int] = []
    popen = subprocess.Popen

    def create_process(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        flags = options.pop("creationflags")
        tried.append(flags)
        if flags & launch.BREAKAWAY and not allowed:
            raise PermissionError(13, "Access is denied")
        return popen(["true"], **options)

    monkeypatch.setattr(launch, "CREATION_FLAGS", (launch.DETACHED | launch.BREAKAWAY, launch.DETACHED))
    monkeypatch.setattr(launch.subprocess, "Popen", create_process)
    engine = launch.Engine(transport.Place(tmp_path, "tcp"))
    engine.start()
    assert engine.over.wait(30)
    assert tried == [launch.DETACHED | launch.BREAKAWAY] + ([] if allowed else [launch.DETACHED])


def test_one_folder_holds_settings_data_and_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS and Windows platformdirs gives the same folder for the three."""
    monkeypatch.delenv("INFILL_HOME", raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert paths.config_directory() == paths.data_directory() == paths.state_directory()
    settings = paths.private_directory(paths.config_directory()) / "settings.toml"
    settings.write_text("[completion]\nmaxTokens = 7\n")
    staged = store.incoming_directory("small")
    staged.mkdir(parents=True)
    (staged / "small.gguf").write_bytes(paths.bundled_model().read_bytes())
    manifest = store.Manifest(
        id="small", title="Small", files=(store.StoredFile(name="small.gguf", size=paths.bundled_model().stat().st_size),), source="hub"
    )
    store.install(manifest, staged)
    state.save(state.State(models={"complete": "local:small"}))
    kernels.keep(Plan(), gguf.facts(paths.bundled_model()), kernels.Result(works=False, why="crashed (SIGILL)"))
    assert "small" in {model.id for model in store.installed()}
    store.remove("small", force=True)
    assert settings_file.load()[0].completion.max_tokens == 7
    assert kernels.result(Plan(), gguf.facts(paths.bundled_model())) is not None


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-16-le"])
def test_output_is_written_in_any_console_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from infill.cli import output

    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding=encoding, newline=""))
    output.say("naïve → 漢字 \udc80 🙂")
    shown = written.getvalue().decode(encoding)
    assert shown.endswith("\n") and "na" in shown
    if encoding == "ascii":
        assert shown == "na\\xefve \\u2192 \\u6f22\\u5b57 \\udc80 \\U0001f642\n"
