"""Models that other programs and folders have: found, used where they are, never touched."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from small_gguf import MODEL, small_gguf

from infill.errors import UnknownModel
from infill.models import download, importing, store

SHA = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def user(home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "user"
    folder.mkdir()
    return folder


def put_ollama(user: Path, name: str = "qwen2.5-coder", tag: str = "1.5b-base") -> Path:
    models = user / ".ollama" / "models"
    manifest = models / "manifests" / "registry.ollama.ai" / "library" / name / tag
    manifest.parent.mkdir(parents=True, exist_ok=True)
    layers = [
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{SHA}", "size": len(MODEL)},
        {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:12", "size": 3},
    ]
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    blob = models / "blobs" / f"sha256-{SHA}"
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(MODEL)
    return blob


def test_what_ollama_has_is_used_without_a_copy(user: Path) -> None:
    blob = put_ollama(user)
    found = importing.ollama()
    assert [(each.title, each.id) for each in found] == [("qwen2.5-coder:1.5b-base", "ollama-qwen2.5-coder-1.5b-base")]
    manifest = importing.by_name("ollama:qwen2.5-coder:1.5b-base")
    assert store.locate(manifest.full_id).path == blob
    assert store.storage().used == 0
    assert store.verify(manifest.full_id).files[0].sha256 == SHA
    store.remove(manifest.full_id)
    assert blob.read_bytes() == MODEL


def test_choosing_one_of_them_is_getting_it(user: Path) -> None:
    put_ollama(user)
    manifest = download.fetch("local:ollama-qwen2.5-coder-1.5b-base")
    assert manifest is not None
    assert manifest.source == "ollama"


def test_ollamas_own_folder_setting_counts(user: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_ollama(user)
    (user / ".ollama").rename(tmp_path / "elsewhere")
    assert importing.ollama() == []
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "elsewhere" / "models"))
    assert len(importing.ollama()) == 1


def test_damaged_manifests_of_others_are_passed_over(user: Path) -> None:
    put_ollama(user)
    folder = user / ".ollama" / "models" / "manifests" / "registry.ollama.ai" / "me" / "odd"
    folder.mkdir(parents=True)
    for name, text in (
        ("a", "{"),
        ("b", "{}"),
        ("c", '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:gone"}]}'),
        ("d", "[]"),
    ):
        (folder / name).write_text(text)
    assert len(importing.ollama()) == 1


def test_what_lm_studio_has_is_found(user: Path) -> None:
    folder = user / ".lmstudio" / "models" / "maker" / "model-GGUF"
    folder.mkdir(parents=True)
    (folder / "model-Q4_K_M.gguf").write_bytes(MODEL)
    (folder / "mmproj-model-f16.gguf").write_bytes(MODEL)
    assert [each.id for each in importing.lm_studio()] == ["lmstudio-model-q4_k_m"]
    assert importing.by_name("lmstudio:model-Q4_K_M").path == folder / "model-Q4_K_M.gguf"


def test_what_the_hubs_cache_has_is_found_with_its_hash(home: Path, tmp_path: Path) -> None:
    cache = tmp_path / "huggingface" / "hub" / "models--maker--small-GGUF"
    (cache / "blobs").mkdir(parents=True)
    (cache / "blobs" / SHA).write_bytes(MODEL)
    snapshot = cache / "snapshots" / ("ab" * 20)
    snapshot.mkdir(parents=True)
    (snapshot / "small.gguf").symlink_to(cache / "blobs" / SHA)
    found = importing.hugging_face_cache()
    assert [(each.id, each.repository, each.sha256) for each in found] == [("cached-small", "maker/small-GGUF", SHA)]
    assert store.verify(importing.adopt(found[0]).id).repository == "maker/small-GGUF"


def test_a_name_that_no_program_knows_says_what_was_found(user: Path) -> None:
    put_ollama(user)
    with pytest.raises(UnknownModel) as failure:
        importing.by_name("ollama:other")
    assert "ollama:qwen2.5-coder:1.5b-base" in failure.value.hint


def test_a_watched_folder_is_followed(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "a-Q8_0.gguf").write_bytes(MODEL)
    assert importing.sync_folders([str(folder)]) == []
    assert store.locate("a-q8_0").path == folder / "a-Q8_0.gguf"
    (folder / "b.gguf").write_bytes(small_gguf(layers=3))
    (folder / "a-Q8_0.gguf").unlink()
    assert importing.sync_folders([str(folder)]) == []
    assert [each.id for each in store.installed()] == ["bundled", "b"]
    assert importing.sync_folders([]) == []
    assert [each.id for each in store.installed()] == ["bundled"]
    assert (folder / "b.gguf").is_file()


def test_files_of_one_name_in_two_folders_are_both_there(home: Path, tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.gguf").write_bytes(MODEL)
    folders = [str(tmp_path / "x"), str(tmp_path / "y")]
    importing.sync_folders(folders)
    importing.sync_folders(folders)
    assert {each.id: each.path.parent.name for each in store.installed() if each.source == "folder"} == {"m": "x", "y-m": "y"}


def test_what_cannot_be_used_in_a_watched_folder_is_named(home: Path, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "half.gguf").write_bytes(MODEL[:1000])
    problems = importing.sync_folders([str(tmp_path / "m"), str(tmp_path / "gone")])
    assert any("half.gguf" in problem for problem in problems)
    assert any("gone" in problem and "not there" in problem for problem in problems)


def test_copying_can_be_cancelled_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(MODEL)
    assert importing.import_file(tmp_path / "m.gguf", copy=True, cancelled=lambda: True) is None
    assert store.installed_as("m") is None
    assert store.storage().incoming == 0


def test_a_second_file_of_a_name_must_be_called_otherwise(home: Path, tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "m.gguf").write_bytes(MODEL)
    importing.import_file(tmp_path / "x" / "m.gguf")
    with pytest.raises(Exception, match="already"):
        importing.import_file(tmp_path / "y" / "m.gguf")
    other = importing.import_file(tmp_path / "y" / "m.gguf", model_id="second")
    assert other is not None
    assert other.full_id == "local:second"
