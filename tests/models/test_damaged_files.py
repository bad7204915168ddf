"""A file of our own that is damaged counts as absent, and a bad model file is its own trouble alone: nothing else is lost, nothing raises."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_gguf import put, small_gguf, text

from infill import paths, state
from infill.engine import transport
from infill.errors import InfillError
from infill.lsp.folders import Folders
from infill.models import gguf, hardware, importing, library, listing, planning, recommend, store
from infill.models.machine import Cpu, Machine
from infill.models.planning import Tuned
from infill.providers import keys
from infill.settings import Models, Settings

MACHINE = Machine(cpu=Cpu(physical=2, logical=2), memory_total=8 << 30, memory_free=6 << 30)
DEEP = b"[" * 100_000
DAMAGE = {
    "empty": b"",
    "cut short": b'{"models": {',
    "no UTF-8": b'{"models": "\xff\xfe", "id": "\xff", "token": "\xff", "machine": "\xff"}',
    "no UTF-8 in a list": b'["\xff"]',
    "deep": DEEP,
    "deep in a field": b'{"x": ' + DEEP,
    "null": b"null",
    "a number": b"1e999",
    "another type": b'{"pid": "x", "models": 3, "machine": 1, "files": {}}',
    "zeros": bytes(5000),
    "binary": bytes(range(256)) * 20,
}


def _own_files() -> dict[str, tuple[Callable[[], Path], Callable[[], Any], Any]]:
    """Which file, who reads it, and what that says where there is none."""
    return {
        "state": (lambda: paths.state_directory() / "state.json", lambda: state.load().models, {}),
        "logins": (lambda: paths.state_directory() / "logins.json", keys.logins, frozenset()),
        "speeds": (lambda: paths.state_directory() / "speeds.json", lambda: recommend.remembered(MACHINE), None),
        "plan": (lambda: planning._tuned_file("local:m"), lambda: planning.tuned("local:m", MACHINE), None),
        "build": (lambda: library.builds_directory() / "current.json", library.current, None),
        "manifest": (lambda: store.models_directory() / "m" / "manifest.json", lambda: [each.id for each in store.installed()], ["bundled"]),
        "status": (lambda: transport.place().status, lambda: transport.read_status(transport.place()), None),
        "devices": (lambda: paths.cache_directory() / "devices.json", lambda: isinstance(hardware.probe(), hardware.Probed), True),
    }


@pytest.mark.parametrize("which", _own_files())
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_of_our_own_counts_as_absent(home: Path, which: str, damage: str) -> None:
    place, read, absent = _own_files()[which]
    place().parent.mkdir(parents=True, exist_ok=True)
    place().write_bytes(DAMAGE[damage])
    assert read() == absent


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1), value=st.binary(min_size=1, max_size=6), cut=st.booleans())
def test_damage_anywhere_in_what_is_remembered_of_a_model_is_noticed_or_harmless(home: Path, at: float, value: bytes, cut: bool) -> None:
    file = put(home.parent / "m.gguf")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    whole = gguf.facts(file)
    (remembered,) = (paths.cache_directory() / "facts").iterdir()
    content = msgspec.json.encode(whole)
    where = int(at * len(content))
    remembered.write_bytes(content[:where] + value + (b"" if cut else content[where + len(value) :]))
    facts = gguf.facts(file)
    assert 0 < facts.layers == len(facts.layer_bytes) == len(facts.kv_widths)
    assert planning.fit.plan(facts, MACHINE, Settings().engine).judgement in ("fits", "tight", "too big")
    remembered.write_bytes(content)


@pytest.mark.parametrize("content", [{"files": []}, {"id": "other"}, {"files": [{"name": "m.gguf", "size": -1}]}])
def test_a_manifest_that_cannot_be_right_counts_as_absent(home: Path, content: dict[str, Any]) -> None:
    file = store.models_directory() / "m" / "manifest.json"
    file.parent.mkdir(parents=True)
    good = {"id": "m", "title": "M", "source": "file", "files": [{"name": "m.gguf", "size": 1}]}
    file.write_text(json.dumps(good))
    assert store.installed_as("m")
    file.write_text(json.dumps(good | content))
    assert store.installed_as("m") is None


@pytest.mark.parametrize("plan", [{"kv_type": "x"}, {"threads": 0}, {"context": -1}, {"batch": 1 << 40}, {"gpu_layers": -7}])
def test_a_measured_plan_that_llama_cpp_must_not_be_given_counts_as_absent(home: Path, plan: dict[str, Any]) -> None:
    planning.keep("local:m", Tuned(machine=planning.fingerprint(MACHINE), plan=planning.Plan()))
    assert planning.tuned("local:m", MACHINE)
    kept = json.loads(planning._tuned_file("local:m").read_text())
    planning._tuned_file("local:m").write_text(json.dumps(kept | {"plan": plan}))
    assert planning.tuned("local:m", MACHINE) is None


def test_a_file_of_our_own_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("{}")
    with file.open("r+b") as stream:
        stream.truncate(1 << 40)
    assert state.read(file, dict[str, Any]) is None


# ---- one bad model file among others


def nested() -> bytes:
    import struct

    whole = small_gguf()
    tensors, entries = struct.unpack_from("<QQ", whole, 8)
    lists = text("x") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 3000
    return whole[:8] + struct.pack("<QQ", tensors, entries + 1) + lists + whole[24:]


BAD = {
    "nested.gguf": nested(),
    "zero.gguf": small_gguf(**{"general.alignment": 0}),
    "typed.gguf": small_gguf(**{"general.file_type": ["a"], "qwen2.block_count": "x"}),
    "x-00001-of-00000.gguf": small_gguf(**{"tokenizer.ggml.tokens": 5}),
    "part-00001-of-00003.gguf": small_gguf(),
    "empty.gguf": b"",
}


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Path:
    place = tmp_path / "watched"
    for name, content in BAD.items():
        put(place / name, content)
    put(place / "good.gguf", small_gguf())
    return place


def test_one_bad_file_in_a_watched_folder_hides_no_other_model(folder: Path) -> None:
    made = listing.listing(Settings(models=Models(folders=(str(folder),))), machine=MACHINE)
    assert {"local:good", "local:bundled"} <= {choice.id for choice in made.choices if choice.state == "installed"}
    assert {name for name in BAD if any(name in problem for problem in made.problems)} == set(BAD)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="their file names are always Unicode")
def test_a_file_name_that_is_no_unicode_hides_no_other_model(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/odd\xff.gguf"))).write_bytes(small_gguf())
    then = 1_000_000_000
    for file in folder.iterdir():
        os.utime(file, (then, then))
    followed = importing.follow([str(folder)])
    assert "local:good" in followed.added
    assert any("not valid Unicode" in problem for problem in followed.problems)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes with names in folders")
def test_a_pipe_or_a_device_in_a_model_s_place_is_a_sentence(tmp_path: Path, home: Path) -> None:
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    with pytest.raises(InfillError, match="is not a file"):
        gguf.read(pipe)
    with pytest.raises(InfillError, match="is not a file"):
        gguf.read(Path("/dev/zero"))


async def test_the_watch_of_a_folder_survives_what_cannot_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look_at(folders: Any) -> Any:
        looks.append(folders)
        if len(looks) == 1:
            raise PermissionError(13, "denied")
        return frozenset({str(len(looks))})

    told = asyncio.Event()
    monkeypatch.setattr("infill.lsp.folders.EVERY_SECONDS", 0.0)
    monkeypatch.setattr(importing, "look_at", look_at)

    class Background:
        def start(self, work: Any, _: str) -> asyncio.Task[None]:
            return asyncio.ensure_future(work)

    folders = Folders(lambda method, params: told.set(), Background())  # type: ignore[arg-type]
    folders.configure([str(folder)])
    folders.open()
    await asyncio.wait_for(told.wait(), 60)
    assert len(looks) > 1
    assert folders._watch is not None
    folders._watch.cancel()
