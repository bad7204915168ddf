"""Facts of a model file: as llama.cpp reads them, and a sentence for every file that is none."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_gguf import small_gguf

from infill import paths
from infill.errors import BadModelFile
from infill.models import gguf


def test_the_header_says_what_llama_cpp_reads(home: Path) -> None:
    asked = subprocess.run([sys.executable, "-m", "infill.engine.probe", str(paths.bundled_model())], capture_output=True, check=True)
    theirs = msgspec.json.decode(asked.stdout)["model"]
    ours = gguf.read(paths.bundled_model())
    same = ("architecture", "parameters", "layers", "embedding", "heads", "vocabulary", "fim", "chat", "file_bytes", "name")
    assert {name: getattr(ours, name) for name in same} == {name: theirs[name] for name in same}
    assert ours.context == theirs["trained_context"]
    assert sum(ours.layer_bytes) + ours.input_bytes + ours.output_bytes - ours.input_bytes == theirs["weight_bytes"]
    assert ours.kv_widths == (theirs["kv_heads"] * theirs["head_size"] * 2,) * ours.layers


def test_a_file_that_was_cut_short_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "short.gguf"
    whole = small_gguf()
    for length in (len(whole) - 1, len(whole) // 2, 100, 30, 5):
        file.write_bytes(whole[:length])
        with pytest.raises(BadModelFile, match=r"cut short|damaged"):
            gguf.read(file)


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "damaged"), (b"GGUF\x09\0\0\0" + bytes(64), "version 9"), (b"<html>", "not a GGUF"), (b"PK\x03\x04", "not a GGUF")]
)
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "page.gguf"
    file.write_bytes(content)
    with pytest.raises(BadModelFile, match=says):
        gguf.read(file)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadModelFile, match="cannot be read"):
        gguf.facts(tmp_path / "gone.gguf")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 2500), value=st.integers(0, 255), length=st.integers(1, 9))
def test_damage_anywhere_in_the_header_is_never_a_traceback(tmp_path: Path, at: int, value: int, length: int) -> None:
    whole = small_gguf()
    file = tmp_path / "damaged.gguf"
    file.write_bytes(whole[:at] + bytes([value]) * length + whole[at + length :])
    layers = 1
    with contextlib.suppress(BadModelFile):
        layers = gguf.read(file).layers
    assert layers > 0


@pytest.mark.parametrize("fim", [True, False])
def test_fill_in_the_middle_is_seen_in_the_vocabulary(tmp_path: Path, fim: bool) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(small_gguf(fim=fim, chat=not fim))
    assert (gguf.read(file).fim, gguf.read(file).chat) == (fim, not fim)


def test_a_split_model_counts_all_its_parts(tmp_path: Path) -> None:
    first, second = tmp_path / "m-00001-of-00002.gguf", tmp_path / "m-00002-of-00002.gguf"
    first.write_bytes(small_gguf())
    second.write_bytes(small_gguf(filler=10_000))
    facts = gguf.read(first)
    assert facts.parts == 2
    assert facts.file_bytes == first.stat().st_size + second.stat().st_size
    second.unlink()
    with pytest.raises(BadModelFile, match="00002-of-00002"):
        gguf.read(first)


def test_facts_are_remembered_until_the_file_changes(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(small_gguf(layers=2))
    assert gguf.facts(file) == gguf.facts(file)
    assert list((paths.cache_directory() / "facts").iterdir())
    file.write_bytes(small_gguf(layers=3))
    assert gguf.facts(file).layers == 3


def test_hybrid_memory_and_mixtures_of_experts_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(small_gguf(**{"qwen2.ssm.conv_kernel": 4, "qwen2.expert_count": 8, "qwen2.expert_used_count": 2}))
    facts = gguf.read(file)
    assert not facts.shifts
    assert facts.active_share == 1.0, "no tensor belongs to an expert"
