"""Getting a model from a hub that misbehaves: whole and right, or not there at all, and a sentence with the next step."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hub import COMMIT, Fault, Hub, Stored
from small_gguf import MODEL, head_and_size, small_gguf, write_catalogue

from infill.errors import BadModelFile, ChecksumMismatch, DownloadFailed, InfillError, ModelError, UnknownModel
from infill.models import download, fit, gguf, store, transfer
from infill.models.catalog import File
from infill.models.download import Progress, fetch
from infill.models.machine import Machine
from infill.settings import Engine

SHA = hashlib.sha256(MODEL).hexdigest()


def nothing_can_be_loaded() -> bool:
    return [each.id for each in store.installed()] == ["bundled"]


def test_a_model_arrives_whole_with_its_manifest_and_progress(hub: Hub) -> None:
    seen: list[Progress] = []
    manifest = fetch("local:small", seen.append)
    assert manifest is not None
    assert store.locate("local:small").path.read_bytes() == MODEL
    assert (manifest.files[0].sha256, manifest.repository, manifest.licence) == (SHA, "maker/small-gguf", "MIT")
    assert manifest.revision.startswith("c0ffee")
    assert seen[0].phase == "looking"
    assert {each.phase for each in seen} >= {"downloading", "verifying"}
    assert seen[-1].done == len(MODEL)
    assert store.verify("small").id == "small"


def test_the_hub_is_asked_for_the_model_and_nothing_else(hub: Hub) -> None:
    fetch("small")
    assert {(seen.method, seen.path.split("/resolve/")[0]) for seen in hub.requests} == {
        ("HEAD", "/maker/small-gguf"),
        ("GET", "/maker/small-gguf"),
        ("GET", "/cdn/maker/small-gguf/small-q8_0.gguf"),
    }


def test_what_is_here_is_not_fetched_twice(hub: Hub) -> None:
    fetch("small")
    before = len(hub.requests)
    assert fetch("small") is not None
    assert len(hub.requests) == before


def test_a_repository_and_file_can_be_named_without_a_catalogue(hub: Hub) -> None:
    manifest = fetch("maker/small-gguf:small-q8_0.gguf")
    assert manifest is not None
    assert (manifest.id, manifest.quantization) == ("small-q8_0", "q8_0")


def test_a_pattern_takes_the_whole_file_rather_than_a_split_one(hub: Hub) -> None:
    hub.add("maker/many", "m-Q4_K_M-00001-of-00002.gguf", b"x")
    hub.add("maker/many", "m-Q4_K_M.gguf", MODEL)
    hub.add("maker/many", "m-imat-Q4_K_M.gguf", b"x")
    manifest = fetch("maker/many:Q4_K_M")
    assert manifest is not None
    assert manifest.files[0].name == "m-Q4_K_M.gguf"


def test_a_split_model_arrives_with_all_its_parts(hub: Hub) -> None:
    hub.add("maker/split", "sub/m-Q8_0-00001-of-00002.gguf", small_gguf())
    hub.add("maker/split", "sub/m-Q8_0-00002-of-00002.gguf", small_gguf(layers=3))
    manifest = fetch("maker/split:Q8_0")
    assert manifest is not None
    assert [file.name for file in manifest.files] == ["m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"]
    assert store.locate(manifest.full_id).path.name == "m-Q8_0-00001-of-00002.gguf"


@pytest.mark.parametrize("kind", ["drop", "short"])
def test_a_broken_connection_is_continued_where_it_broke(hub: Hub, kind: str) -> None:
    hub.fault(kind, after=400_000)
    assert fetch("small") is not None
    assert store.locate("small").path.read_bytes() == MODEL
    continued = [seen.range for seen in hub.requests if seen.path.startswith("/cdn") and seen.range]
    assert continued
    assert hub.sent < len(MODEL) * 1.5


def test_a_connection_that_is_torn_down_is_made_again(hub: Hub) -> None:
    hub.fault("reset", after=400_000)
    assert fetch("small") is not None
    assert store.locate("small").path.read_bytes() == MODEL
    assert sum(seen.path.startswith("/cdn") and seen.method == "GET" for seen in hub.requests) == 2


def test_a_server_that_ignores_ranges_does_not_spoil_the_file(hub: Hub) -> None:
    hub.fault("drop", after=400_000)
    hub.fault("whole")
    assert fetch("small") is not None
    assert store.locate("small").path.read_bytes() == MODEL


def test_a_cancelled_download_is_continued_later(hub: Hub) -> None:
    hub.slow = 2_000_000
    reached: list[int] = []
    assert fetch("small", lambda progress: reached.append(progress.done), lambda: bool(reached) and reached[-1] > 600_000) is None
    assert nothing_can_be_loaded()
    assert store.storage().incoming >= 300_000
    hub.slow = 0
    sent_before = hub.sent
    assert fetch("small") is not None
    assert hub.sent - sent_before <= len(MODEL) - 300_000
    assert store.storage().incoming == 0


def test_a_stalled_download_can_be_cancelled_at_once(hub: Hub) -> None:
    hub.fault("stall", after=400_000)
    arrived = store.incoming_directory("small")
    assert fetch("small", cancelled=lambda: any(file.stat().st_size for file in arrived.glob("*.part"))) is None
    assert nothing_can_be_loaded()


def test_damaged_content_is_deleted_and_told(hub: Hub) -> None:
    hub.fault("corrupt", after=500_000)
    with pytest.raises(ChecksumMismatch, match=r"damaged.*deleted"):
        fetch("small")
    assert nothing_can_be_loaded()
    assert not list(store.incoming_directory("small").glob("*.part"))
    assert fetch("small") is not None


def test_a_file_that_the_catalogue_does_not_mean_is_refused_before_it_is_fetched(hub: Hub) -> None:
    write_catalogue(f'id = "pinned"\nrepository = "maker/small-gguf"\nfiles = [{{ name = "small-q8_0.gguf", sha256 = "{"0" * 64}" }}]')
    with pytest.raises(ChecksumMismatch, match="not the file that the catalogue names"):
        fetch("pinned")
    assert hub.sent == 0


def test_a_hash_that_nobody_told_is_recorded_and_checked_ever_after(hub: Hub) -> None:
    hub.add("maker/plain", "plain.gguf", MODEL, lfs=False, etag="a" * 40)
    manifest = fetch("maker/plain:plain.gguf")
    assert manifest is not None
    assert manifest.files[0].sha256 == SHA
    path = store.locate("plain").path
    path.write_bytes(MODEL[:-1] + b"!")
    with pytest.raises(ChecksumMismatch, match="not what was installed"):
        store.verify("plain")


def test_a_hash_that_nobody_told_is_said_at_the_download_and_when_it_is_verified(hub: Hub) -> None:
    hub.add("maker/plain", "plain.gguf", MODEL, lfs=False, etag="a" * 40)
    manifest, proven = fetch("maker/plain:plain.gguf"), fetch("small")
    assert manifest is not None
    assert proven is not None
    assert "published no checksum" in manifest.unproven
    assert "published no checksum" in store.verify("plain").unproven
    assert store.verify("small").unproven == proven.unproven == ""


def stopped(name: str, after: int) -> None:
    """Cancel a download when so many bytes of it have arrived."""
    reached: list[int] = []
    assert fetch(name, lambda progress: reached.append(progress.done), lambda: bool(reached) and reached[-1] > after) is None


NEW = "beef" + "0" * 36


def test_a_split_model_is_never_put_together_from_two_versions(hub: Hub) -> None:
    one, two = "m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"
    old, new = (small_gguf(filler=1_000_000, **{"general.name": name}) for name in ("olds", "news"))
    assert len(old) == len(new)
    for name in (one, two):
        hub.add("maker/split", name, old)
    hub.slow = 4_000_000
    stopped("maker/split:Q8_0", len(old) + 300_000)
    assert list(store.incoming_directory("split-q8_0").glob(f"{one}.*.whole"))
    for name in (one, two):
        hub.add("maker/split", name, new, revision=NEW)
    hub.revisions["maker/split"] = {"main", NEW}
    hub.slow = 0
    manifest = fetch("maker/split:Q8_0")
    assert manifest is not None
    folder = store.locate(manifest.full_id).path.parent
    assert [(folder / name).read_bytes() == new for name in (one, two)] == [True, True]
    assert manifest.revision == NEW
    assert store.verify(manifest.full_id).id == manifest.id


@pytest.mark.parametrize("change", ["etag", "revision"])
def test_a_part_without_a_published_hash_is_not_finished_with_another_version(hub: Hub, change: str) -> None:
    newer = bytes(reversed(MODEL[-len(MODEL) // 2 :]))
    newer = MODEL[: len(MODEL) - len(newer)] + newer
    hub.add("maker/plain", "plain.gguf", MODEL, lfs=False, etag="a" * 40)
    hub.slow = 2_000_000
    stopped("maker/plain:plain.gguf", 600_000)
    hub.add("maker/plain", "plain.gguf", newer, lfs=False, etag=("b" if change == "etag" else "a") * 40, revision=NEW)
    if change == "revision":
        hub.revisions["maker/plain"] = {"main", NEW}
    hub.slow = 0
    assert fetch("maker/plain:plain.gguf") is not None
    assert store.locate("plain").path.read_bytes() == newer


def test_a_file_that_is_replaced_while_it_arrives_is_noticed_without_a_published_hash(hub: Hub) -> None:
    hub.add("maker/plain", "plain.gguf", MODEL, lfs=False, etag="a" * 40)
    hub.slow = 4_000_000
    newer = MODEL[:-1000] + bytes(1000)

    def replace(progress: Progress) -> None:
        if progress.done > 300_000 and hub.files["maker/plain", "plain.gguf"].etag.startswith("a"):
            hub.add("maker/plain", "plain.gguf", newer, lfs=False, etag="b" * 40)

    with pytest.raises(ChecksumMismatch, match="was replaced on the hub while it was downloaded"):
        fetch("maker/plain:plain.gguf", replace)
    assert nothing_can_be_loaded()
    assert fetch("maker/plain:plain.gguf") is not None
    assert store.locate("plain").path.read_bytes() == newer


@pytest.mark.parametrize("lfs", [True, False])
@pytest.mark.parametrize("final", [True, False])
def test_a_whole_file_that_waits_for_others_is_hashed_again_before_it_is_used(hub: Hub, lfs: bool, final: bool) -> None:
    """Damaged on the disk, or left under its last name by a transfer that was killed."""
    etag = SHA if lfs else "a" * 40
    hub.add("maker/m", "m.gguf", MODEL, lfs=lfs, etag=etag)
    file = transfer.Wanted(name="m.gguf", size=len(MODEL), sha256=SHA if lfs else "", revision=COMMIT, etag=etag)
    here = store.incoming_directory("m")
    here.mkdir(parents=True)
    staged = here / "m.gguf" if final else transfer._whole(here, file, SHA)
    staged.write_bytes(MODEL[:-1] + b"!")
    assert fetch("maker/m:m.gguf") is not None
    assert store.locate("m").path.read_bytes() == MODEL
    assert hub.sent == len(MODEL), "it was fetched anew"
    assert sorted(entry.name for entry in store.locate("m").path.parent.iterdir()) == ["m.gguf", "manifest.json"]


def test_a_whole_file_that_is_right_is_not_fetched_again(hub: Hub) -> None:
    file = transfer.Wanted(name="small-q8_0.gguf", size=len(MODEL), sha256=SHA, revision=COMMIT, etag=SHA)
    here = store.incoming_directory("small")
    here.mkdir(parents=True)
    transfer._whole(here, file, SHA).write_bytes(MODEL)
    assert fetch("small") is not None
    assert store.locate("small").path.read_bytes() == MODEL
    assert hub.sent == 0


def test_something_that_is_no_model_is_not_kept(hub: Hub) -> None:
    hub.add("maker/web", "page.gguf", b"<html>" * 1000)
    with pytest.raises(BadModelFile, match="not a GGUF"):
        fetch("maker/web:page.gguf")
    assert nothing_can_be_loaded()
    assert store.storage().incoming == 0


def test_new_content_of_the_same_name_is_not_mixed_with_old(hub: Hub) -> None:
    hub.slow = 2_000_000
    reached: list[int] = []
    assert fetch("small", lambda progress: reached.append(progress.done), lambda: bool(reached) and reached[-1] > 600_000) is None
    newer = small_gguf(filler=900_000)
    hub.add("maker/small-gguf", "small-q8_0.gguf", newer)
    hub.slow = 0
    assert fetch("small") is not None
    assert store.locate("small").path.read_bytes() == newer


@pytest.mark.parametrize(
    ("status", "code", "says", "advises"),
    [
        pytest.param(401, "RepoNotFound", "no repository", "HF_TOKEN", id="missing or private"),
        pytest.param(403, "GatedRepo", "those who ask", "Ask for access", id="gated"),
        pytest.param(404, "EntryNotFound", "no file", "tree/main", id="no such file"),
        pytest.param(404, "RevisionNotFound", "no revision", "newest", id="revision is gone"),
        pytest.param(429, "", "too many requests", "minutes", id="asked to wait"),
        pytest.param(500, "", "in trouble", "kept", id="broken hub"),
    ],
)
def test_each_refusal_is_a_sentence_with_the_next_step(hub: Hub, status: int, code: str, says: str, advises: str) -> None:
    hub.refusals["maker/small-gguf"] = (status, code)
    with pytest.raises(DownloadFailed) as failure:
        fetch("small")
    assert says in failure.value.message
    assert advises in failure.value.hint
    assert nothing_can_be_loaded()


def test_a_hub_that_recovers_is_asked_again(hub: Hub) -> None:
    hub.metadata_faults.append(Fault("status", status=503))
    hub.fault("status", status=502)
    assert fetch("small") is not None


def test_the_token_goes_to_the_hub_and_not_to_the_network_behind_it(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch("small") is not None
    assert all(seen.authorization == "Bearer hf_secret" for seen in hub.requests if not seen.path.startswith("/cdn"))
    assert not any(seen.authorization for seen in hub.requests if seen.path.startswith("/cdn"))


def test_without_a_network_the_sentence_says_what_to_check(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadFailed) as failure:
        fetch("small")
    assert "connection" in failure.value.message
    assert "proxy" in failure.value.hint


def test_an_endpoint_that_is_no_hub_is_told_apart(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/cdn")
    with pytest.raises(DownloadFailed):
        fetch("small")
    assert nothing_can_be_loaded()


@pytest.mark.parametrize("how", ["setting", "variable"])
def test_offline_means_that_nobody_is_asked(hub: Hub, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "variable":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadFailed, match="switched off"):
        fetch("small", offline=how == "setting")
    assert not hub.requests


def test_a_disk_without_room_is_found_before_anything_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    real = store.storage()
    monkeypatch.setattr(store, "storage", lambda: store.Storage(directory=real.directory, used=0, incoming=0, free=100_000, total=10**9))
    with pytest.raises(DownloadFailed, match="needs 1 MB and 0 MB are free") as failure:
        fetch("small")
    assert "INFILL_HOME" in failure.value.hint
    assert hub.sent == 0


def test_a_directory_that_cannot_be_written_is_a_sentence(hub: Hub) -> None:
    store.models_directory().parent.mkdir(parents=True)
    store.models_directory().write_text("a file where the directory should be")
    with pytest.raises(InfillError) as failure:
        fetch("small")
    assert "INFILL_HOME" in failure.value.hint


def test_two_windows_do_not_fetch_the_same_model_at_once(hub: Hub) -> None:
    with store.locked("small"), pytest.raises(ModelError, match="Another window"):
        fetch("small")


def test_a_name_that_nobody_knows_suggests_others(home: Path) -> None:
    with pytest.raises(UnknownModel) as failure:
        fetch("qwen2.5-coder-1.5b")
    assert "local:qwen2.5-coder-1.5b-q8_0" in failure.value.hint


def test_what_has_arrived_can_be_thrown_away(hub: Hub) -> None:
    hub.slow = 2_000_000
    reached: list[int] = []
    fetch("small", lambda progress: reached.append(progress.done), lambda: bool(reached) and reached[-1] > 600_000)
    assert download.discard("small") >= 300_000
    assert store.storage().incoming == 0


def test_progress_reads_as_a_sentence() -> None:
    progress = Progress(phase="downloading", done=400_000_000, total=1_650_000_000, speed=12_500_000)
    assert progress.sentence == "400 MB of 1.6 GB, 12 MB/s, 1 min 40 s left"


SIXTY = 60_000_000_000
"""Bytes: more than content networks give in one answer, and more than 32 bits count."""


def test_a_file_of_sixty_gigabytes_is_continued_where_it_was_and_used(hub: Hub, tmp_path: Path) -> None:
    head, weights = head_and_size(filler=SIXTY)
    whole, size = tmp_path / "huge.gguf", len(head) + weights
    whole.write_bytes(head)
    os.truncate(whole, size)  # all of it a hole in the file system
    hub.files["maker/huge", "huge.gguf"] = Stored(whole, b"", "", etag="not-a-hash")
    hub.revisions["maker/huge"] = {"main", COMMIT}
    part = transfer._part(store.incoming_directory("huge"), transfer.Wanted(name="huge.gguf", size=size, revision=COMMIT, etag="not-a-hash"))
    part.parent.mkdir(parents=True)
    part.write_bytes(head)
    os.truncate(part, size - 1_000_000)
    seen: list[Progress] = []
    manifest = fetch("maker/huge:huge.gguf", seen.append)
    assert manifest is not None
    assert (manifest.size, seen[-1].total, seen[-1].done) == (size, size, size)
    assert [one.range for one in hub.requests if one.path.startswith("/cdn") and one.method == "GET"] == [f"bytes={size - 1_000_000}-{size - 1}"]
    facts = gguf.facts(store.locate("huge").path)
    assert (facts.file_bytes, facts.layer_bytes[0] > SIXTY) == (size, True)
    laptop = Machine(memory_total=16 * 10**9, memory_free=10 * 10**9)
    assert fit.plan(facts, laptop, Engine()).judgement == "too big"


def test_a_huge_file_is_asked_for_in_slices(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "SLICE", 300_000)
    hub.fault("drop", after=100_000)
    file = File(name="small-q8_0.gguf", size=len(MODEL), sha256=SHA)
    job = transfer.Job(repository="maker/small-gguf", files=(file,), directory=str(tmp_path / "here"), attempts=2, wait_seconds=0.01)
    transfer.bring(job, lambda event: None, lambda: None)
    assert (tmp_path / "here" / "small-q8_0.gguf").read_bytes() == MODEL
    ranges = [one.range for one in hub.requests if one.path.startswith("/cdn") and one.method == "GET"]
    assert ranges[0] == "bytes=0-299999"
    assert [one.rpartition("-")[2] for one in ranges[1:]] == ["299999", "599999", "899999", str(len(MODEL) - 1)]
