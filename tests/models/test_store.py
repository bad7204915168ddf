"""The store: a model is there whole or not at all, and leaves without taking anything else along."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_gguf import MODEL, small_gguf, write_catalogue

from infill import paths, state
from infill.errors import BadModelFile, ChecksumMismatch, InfillError, ModelError, ModelMissing, UnknownModel
from infill.models import importing, listing, store
from infill.models.store import Manifest


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Callable[..., Manifest]:
    """Puts a model of the user's own into the store."""

    def put(name: str = "own", copy: bool = True, content: bytes = MODEL) -> Manifest:
        file = tmp_path / f"{name}.gguf"
        file.write_bytes(content)
        made = importing.import_file(file, copy=copy)
        assert made is not None
        return made

    return put


def test_the_bundled_model_is_always_there(home: Path) -> None:
    assert store.locate(state.BUNDLED).path == paths.bundled_model()
    with pytest.raises(ModelError, match="belongs to the program"):
        store.remove(state.BUNDLED, force=True)


def test_an_installed_model_is_listed_located_verified_and_removed(own: Callable[..., Manifest]) -> None:
    own()
    assert [each.id for each in store.installed()] == ["bundled", "own"]
    assert store.locate("local:own").path.read_bytes() == MODEL
    assert store.verify("own").files[0].sha256
    assert store.storage().used == len(MODEL)
    store.remove("own")
    assert [each.id for each in store.installed()] == ["bundled"]
    assert store.storage().used == 0


def test_a_linked_file_outlives_its_model(own: Callable[..., Manifest], tmp_path: Path) -> None:
    own(copy=False)
    assert store.locate("own").path == tmp_path / "own.gguf"
    store.remove("own")
    assert (tmp_path / "own.gguf").read_bytes() == MODEL


def test_a_linked_file_that_went_away_is_named(own: Callable[..., Manifest], tmp_path: Path) -> None:
    own(copy=False)
    (tmp_path / "own.gguf").unlink()
    with pytest.raises(ModelMissing, match="no longer exists") as failure:
        store.locate("own")
    assert str(tmp_path / "own.gguf") in failure.value.hint


@pytest.mark.parametrize("where", ["for you", "for a folder", "for generated code"])
def test_the_chosen_model_is_removed_only_by_force(own: Callable[..., Manifest], where: str) -> None:
    own(content=small_gguf(chat=True))
    listing.use("own", "generate" if where == "for generated code" else "complete", "/some/folder" if where == "for a folder" else None)
    with pytest.raises(ModelError, match="chosen model"):
        store.remove("own")
    store.remove("own", force=True)
    assert store.installed_as("own") is None


def test_a_model_that_only_the_catalogue_has_says_how_to_get_it(home: Path) -> None:
    with pytest.raises(ModelMissing) as failure:
        store.locate("local:qwen2.5-coder-1.5b-q8_0")
    assert "infill models download qwen2.5-coder-1.5b-q8_0" in failure.value.hint
    with pytest.raises(UnknownModel):
        store.locate("local:nobody")


@pytest.mark.parametrize("name", ["../../etc/passwd", "local:../x", "", "A B", ".incoming"])
def test_odd_names_reach_no_file(home: Path, name: str) -> None:
    with pytest.raises(UnknownModel):
        store.locate(name)


def test_a_changed_file_is_found_by_verifying(own: Callable[..., Manifest]) -> None:
    path = own().path
    path.write_bytes(MODEL[:-1] + b"?")
    with pytest.raises(ChecksumMismatch, match="not what was installed"):
        store.verify("own")
    path.write_bytes(MODEL[:-1])
    with pytest.raises(ChecksumMismatch, match="bytes"):
        store.verify("own")


def test_a_directory_without_a_manifest_is_no_model(home: Path) -> None:
    (store.models_directory() / "half").mkdir(parents=True)
    (store.models_directory() / "half" / "half.gguf").write_bytes(MODEL)
    (store.models_directory() / "torn").mkdir()
    (store.models_directory() / "torn" / "manifest.json").write_text('{"id": "to')
    assert [each.id for each in store.installed()] == ["bundled"]
    with pytest.raises(UnknownModel):
        store.locate("half")


def test_files_of_the_users_own_catalogue_need_no_import(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(MODEL)
    write_catalogue(f'id = "mine"\npath = "{tmp_path / "mine.gguf"}"', f'id = "gone"\npath = "{tmp_path / "gone.gguf"}"')
    assert [each.id for each in store.installed()] == ["bundled", "mine"]
    assert store.locate("mine").path == tmp_path / "mine.gguf"
    with pytest.raises(ModelMissing):
        store.locate("gone")


def test_a_lock_is_let_go_when_its_holder_is_killed(home: Path) -> None:
    code = "import sys\nfrom infill.models import store\nwith store.locked('m'):\n print('held', flush=True)\n sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ModelError, match="Another window"), store.locked("m"):
        pass
    holder.kill()
    holder.communicate()
    with store.locked("m", wait_seconds=10):
        assert holder.returncode != 0


def test_a_disk_with_little_room_is_told(home: Path) -> None:
    assert store.Storage(directory=home, used=0, incoming=0, free=9, total=100).low
    assert not store.Storage(directory=home, used=0, incoming=0, free=11, total=100).low


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="the administrator may write everywhere")
def test_a_directory_without_rights_is_a_sentence(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    home.chmod(0o500)
    (tmp_path / "x.gguf").write_bytes(MODEL)
    with pytest.raises(InfillError) as failure:
        importing.import_file(tmp_path / "x.gguf")
    assert "INFILL_HOME" in failure.value.hint


@pytest.mark.parametrize(
    ("number", "says"),
    [pytest.param(28, "is full", id="full"), pytest.param(13, "cannot be written", id="no right"), pytest.param(30, "cannot be written", id="ro")],
)
def test_what_the_system_refuses_is_a_sentence_with_the_next_step(home: Path, number: int, says: str) -> None:
    with pytest.raises(InfillError, match=says) as failure, store.writing():
        raise OSError(number, os.strerror(number), "/somewhere")
    assert failure.value.hint


def test_importing_something_else_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("no model")
    with pytest.raises(BadModelFile):
        importing.import_file(tmp_path / "notes.gguf")
    with pytest.raises(BadModelFile, match="not a file"):
        importing.import_file(tmp_path)
