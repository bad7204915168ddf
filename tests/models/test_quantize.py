"""Making smaller models: whole under their names or not there, and stoppable."""

from __future__ import annotations

from pathlib import Path

import pytest

from infill import paths
from infill.errors import ModelError
from infill.models import gguf, quantize, store


def test_the_bundled_model_is_made_smaller_and_installed(home: Path) -> None:
    shares: list[float] = []
    manifest = quantize.install("local:bundled", "q8_0", shares.append)
    assert manifest is not None
    assert manifest.full_id == "local:bundled-q8_0"
    assert manifest.size < paths.bundled_model().stat().st_size * 0.6
    assert gguf.read(store.locate(manifest.full_id).path).quantization == "q8_0"
    assert store.verify(manifest.full_id).fim_order == "spm"
    assert shares[-1] == 1.0


def test_stopping_leaves_nothing(home: Path, tmp_path: Path) -> None:
    assert quantize.quantize(paths.bundled_model(), tmp_path / "out.gguf", "q4_0", cancelled=lambda: True) is False
    assert list(tmp_path.glob("*.gguf*")) == []
    assert quantize.install("local:bundled", "q4_0", cancelled=lambda: True) is None
    assert store.installed_as("bundled-q4_0") is None


def test_an_unknown_type_names_the_known_ones(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as failure:
        quantize.quantize(paths.bundled_model(), tmp_path / "out.gguf", "q9_9")
    assert "q4_k_m" in failure.value.hint


def test_what_llama_cpp_refuses_is_told_in_its_words(home: Path, tmp_path: Path) -> None:
    from small_gguf import small_gguf

    (tmp_path / "odd.gguf").write_bytes(small_gguf())
    with pytest.raises(ModelError, match="could not be quantized"):
        quantize.quantize(tmp_path / "odd.gguf", tmp_path / "out.gguf", "q8_0")
    assert not (tmp_path / "out.gguf").exists()
