"""Where things lie: below INFILL_HOME if it is set, for the owner alone, and short enough for a socket."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from infill import paths
from infill.errors import InfillError

PLACES = ("config_directory", "data_directory", "state_directory", "cache_directory", "log_directory", "runtime_directory")


@pytest.mark.parametrize("place", PLACES)
def test_one_variable_moves_everything(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFILL_HOME", "/h")
    assert getattr(paths, place)() == Path("/h") / place.removesuffix("_directory")


@pytest.mark.parametrize("place", PLACES)
def test_a_session_without_a_desktop_has_its_places_too(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("INFILL_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert getattr(paths, place)().is_absolute()


def test_a_path_too_long_for_a_socket_is_replaced_by_a_short_one_that_is_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFILL_HOME", "/" + "long/" * 30)
    first = paths.runtime_directory()
    assert len(os.fsencode(first)) < 64
    assert paths.runtime_directory() == first
    monkeypatch.setenv("INFILL_HOME", "/" + "other/" * 30)
    assert paths.runtime_directory() != first


def test_a_private_directory_is_its_owners_alone(tmp_path: Path) -> None:
    open_to_all = tmp_path / "there"
    open_to_all.mkdir(mode=0o755)
    for directory in (open_to_all, tmp_path / "new" / "deep"):
        assert stat.S_IMODE(paths.private_directory(directory).stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfillError, match="cannot be created") as failed:
        paths.private_directory(tmp_path / "file" / "below")
    assert "INFILL_HOME" in failed.value.hint


def test_the_catalogue_and_the_bundled_model_are_there() -> None:
    assert paths.catalogue().is_file()
    assert paths.bundled_model().read_bytes()[:4] == b"GGUF"
