"""Where things lie: below INFILL_HOME if it is set, for the owner alone, and short enough for a socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infill import paths
from infill.engine import launch
from infill.errors import InfillError, ProviderUnavailable

System = Callable[["str | Exception"], Path]
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


@pytest.fixture
def system(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """Names the system's runtime directory, or has it refused; returns a short temporary directory beside it."""
    top = Path(tempfile.mkdtemp(prefix="i", dir="/tmp" if Path("/tmp").is_dir() else None))
    monkeypatch.delenv("INFILL_HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(top))

    def answer(said: str | Exception) -> Path:
        def directory(kind: str) -> Path:
            if kind == "runtime" and isinstance(said, Exception):
                raise said
            return top / (str(said) if kind == "runtime" else kind)

        monkeypatch.setattr(paths, "_directory", directory)
        return top

    yield answer
    shutil.rmtree(top)


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such owners and modes")


@posix
def test_a_runtime_directory_that_the_system_refuses_is_replaced_by_one_in_the_temporary_directory(system: System) -> None:
    top = system(PermissionError(1, "Operation not permitted"))
    assert paths.runtime_directory() == top / f"infill-{os.getuid()}"
    assert stat.S_IMODE(paths.private_directory(paths.runtime_directory()).stat().st_mode) == 0o700
    assert paths.runtime_directory() == top / f"infill-{os.getuid()}"  # the same once it is there


@posix
@pytest.mark.parametrize("taken", ["file", "dangling link", "another user"])
def test_a_replacement_that_is_taken_too_leads_to_the_state_directory(taken: str, system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    top = system(PermissionError(1, "Operation not permitted"))
    replacement = top / f"infill-{os.getuid()}"
    if taken == "file":
        replacement.write_text("")
    elif taken == "dangling link":
        replacement.symlink_to(top / "nowhere")
    else:
        replacement.mkdir()
        (top / "state").mkdir()
        monkeypatch.setattr(Path, "stat", _of_another_user(replacement))
    assert paths.runtime_directory() == top / "state" / "runtime"


@posix
def test_the_system_s_runtime_directory_is_used_where_it_can_be(system: System) -> None:
    top = system("run")
    assert paths.runtime_directory() == top / "run"
    (top / "run").write_text("")
    assert paths.runtime_directory() == top / f"infill-{os.getuid()}"


@posix
def test_without_any_usable_runtime_directory_the_engine_is_refused_in_a_sentence(system: System) -> None:
    top = system(PermissionError(1, "Operation not permitted"))
    (top / f"infill-{os.getuid()}").write_text("")
    (top / "state").write_text("")
    with pytest.raises(ProviderUnavailable, match="cannot be created"):
        asyncio.run(launch.connect_or_start("test"))
    assert asyncio.run(launch.connect("test")) is None
    assert launch.running() is None


def _of_another_user(path: Path) -> Callable[..., os.stat_result]:
    true_stat = Path.stat

    def stat_(which: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = true_stat(which, follow_symlinks=follow_symlinks)
        return os.stat_result([*found[:4], os.getuid() + 1, *found[5:10]]) if which == path else found

    return stat_


def test_the_catalogue_and_the_bundled_model_are_there() -> None:
    assert paths.catalogue().is_file()
    assert paths.bundled_model().read_bytes()[:4] == b"GGUF"
