"""Models that other programs and folders have: found, used where they are, never touched."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from small_gguf import MODEL, put, small_gguf

from infill.errors import UnknownModel
from infill.models import download, importing, listing, store
from infill.settings import Models, Settings

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


def test_ollamas_latest_tag_may_be_left_out(user: Path) -> None:
    put_ollama(user, "smol", "latest")
    found = importing.find("ollama:smol:latest")
    assert found is not None
    assert importing.find("ollama:smol") == found
    assert importing.find("ollama:smo") is None


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
    first = put(tmp_path / "models" / "a-Q8_0.gguf")
    folders = [str(first.parent)]
    assert importing.follow(folders) == importing.Followed(added=("local:a-q8_0",))
    assert store.locate("a-q8_0").path == first
    second = put(first.parent / "b.gguf", small_gguf(layers=3))
    first.unlink()
    assert importing.follow(folders) == importing.Followed(added=("local:b",), removed=("local:a-q8_0",))
    assert [each.id for each in store.installed()] == ["bundled", "b"]
    assert importing.follow(folders) == importing.Followed()
    assert second.is_file()


def test_who_watches_no_folder_takes_nothing_from_those_who_do(home: Path, tmp_path: Path) -> None:
    folder = put(tmp_path / "models" / "b.gguf").parent
    watching = Settings(models=Models(folders=[str(folder)]))

    def offered(settings: Settings) -> set[str]:
        return {choice.id for choice in listing.listing(settings).choices if choice.source == "folder"}

    assert offered(watching) == {"local:b"}
    assert offered(Settings()) == set()
    assert offered(Settings(models=Models(complete="local:b"))) == {"local:b"}
    assert offered(watching) == {"local:b"}


@pytest.mark.parametrize("content", [MODEL, MODEL[:1000], MODEL[: len(MODEL) // 2] + bytes(len(MODEL) - len(MODEL) // 2)])
def test_a_file_that_is_still_being_written_is_not_offered(content: bytes, home: Path, tmp_path: Path) -> None:
    file = put(tmp_path / "models" / "half.gguf", content, seconds_ago=0.5)
    followed = importing.follow([str(file.parent)])
    assert (followed.added, followed.arriving) == ((), (file,))
    assert "still being written" in followed.problems[0]
    put(file)
    assert importing.follow([str(file.parent)]).added == ("local:half",)


def test_a_model_in_several_files_is_offered_once_and_only_when_all_of_them_are_there(home: Path, tmp_path: Path) -> None:
    first, second = (put(tmp_path / "models" / f"big-0000{number}-of-00002.gguf", small_gguf(layers=number)) for number in (1, 2))
    size = first.stat().st_size + second.stat().st_size
    second.unlink()
    assert "big-00002-of-00002.gguf" in importing.follow([str(first.parent)]).problems[0]
    put(second, small_gguf(layers=2))
    (added,) = importing.follow([str(first.parent)]).added
    assert (store.find(added).size, store.locate(added).path) == (size, first)


def test_files_of_one_name_in_two_folders_are_both_there(home: Path, tmp_path: Path) -> None:
    folders = [str(put(tmp_path / name / "m.gguf").parent) for name in ("x", "y")]
    importing.follow(folders)
    importing.follow(folders)
    assert {each.id: each.path.parent.name for each in store.installed() if each.source == "folder"} == {"m": "x", "y-m": "y"}


def test_files_of_one_name_in_folders_of_one_name_keep_their_ids(home: Path, tmp_path: Path) -> None:
    files = []
    for number, name in enumerate(("a", "b", "c", "d")):
        files.append(tmp_path / name / "models" / "gguf" / "m.gguf")
        files[-1].parent.mkdir(parents=True)
        put(files[-1], small_gguf(layers=number + 1))
    folders = [str(tmp_path / name) for name in ("a", "b", "c", "d")]

    def ids() -> dict[Path, str]:
        importing.follow(folders)
        return {each.path: each.id for each in store.installed() if each.source == "folder"}

    first = ids()
    assert len(set(first.values())) == 4
    assert ids() == ids() == first
    files[0].unlink()
    put(files[2], small_gguf(layers=9))
    assert ids() == {path: called for path, called in first.items() if path != files[0]}
    put(files[0], small_gguf(layers=7))
    assert {path: called for path, called in ids().items() if path != files[0]} == {path: first[path] for path in files[1:]}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_linked_folders_and_capital_letters_are_seen(home: Path, tmp_path: Path) -> None:
    put(tmp_path / "far" / "Big-Q8_0.GGUF")
    for number in (1, 2):
        put(tmp_path / "far" / f"split-0000{number}-of-00002.GGUF", small_gguf(layers=number))
    watched = tmp_path / "models"
    watched.mkdir()
    (watched / "linked").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "circle").symlink_to(watched)
    seen = importing.look_at([str(watched)])
    assert {Path(path).name for path, _, _ in seen} == {"Big-Q8_0.GGUF", "split-00001-of-00002.GGUF", "split-00002-of-00002.GGUF"}
    assert set(importing.follow([str(watched)]).added) == {"local:big-q8_0", "local:split"}
    assert store.find("big-q8_0").quantization


def test_files_of_one_name_in_lm_studio_are_both_imported(user: Path) -> None:
    root = user / ".lmstudio" / "models"
    for number, maker in enumerate(("one", "two")):
        (root / maker / "model-GGUF").mkdir(parents=True)
        (root / maker / "model-GGUF" / "model-Q4_K_M.gguf").write_bytes(small_gguf(layers=number + 1))
    found = importing.lm_studio()
    assert [each.id for each in found] == ["lmstudio-one-model-gguf-model-q4_k_m", "lmstudio-two-model-gguf-model-q4_k_m"]
    manifests = [importing.by_name(f"lmstudio:{each.title}") for each in found]
    assert len({manifest.path for manifest in manifests}) == 2
    assert {choice.id for choice in listing.listing(Settings()).choices if choice.source == "lmstudio"} == {each.full_id for each in found}


def test_files_of_one_name_in_the_hubs_cache_are_both_imported_and_one_blob_only_once(home: Path, tmp_path: Path) -> None:
    hub = tmp_path / "huggingface" / "hub"
    for maker, revisions in (("one", ("aa", "bb")), ("two", ("cc",))):
        folder = hub / f"models--{maker}--small"
        (folder / "blobs").mkdir(parents=True)
        (folder / "blobs" / maker).write_bytes(MODEL)
        for revision in revisions:
            (folder / "snapshots" / (revision * 20)).mkdir(parents=True)
            (folder / "snapshots" / (revision * 20) / "small.gguf").symlink_to(folder / "blobs" / maker)
    assert [each.id for each in importing.hugging_face_cache()] == ["cached-one-small-small", "cached-two-small-small"]


def test_a_name_that_another_file_has_already_is_not_taken_from_it(user: Path) -> None:
    root = user / ".lmstudio" / "models"
    (root / "one" / "m").mkdir(parents=True)
    (root / "one" / "m" / "model.gguf").write_bytes(MODEL)
    first = importing.by_name("lmstudio:model")
    (root / "one" / "m").rename(root / "one" / "n")
    second = importing.by_name("lmstudio:model")
    assert first.id != second.id
    assert store.find(second.id).path.is_file()


def test_ollamas_name_without_a_tag_means_the_latest(user: Path) -> None:
    put_ollama(user, "smol", "latest")
    assert importing.by_name("ollama:smol").id == "ollama-smol-latest"


def test_what_cannot_be_used_in_a_watched_folder_is_named(home: Path, tmp_path: Path) -> None:
    put(tmp_path / "m" / "half.gguf", MODEL[:1000])
    problems = importing.follow([str(tmp_path / "m"), str(tmp_path / "gone")]).problems
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
