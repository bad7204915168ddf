"""What a file is good for and what it is called: from its header and its name."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_gguf import MODEL, small_gguf

from infill import paths
from infill.engine.load_errors import load_error
from infill.errors import BadModelFile, DoesNotFit, ModelError
from infill.models import gguf, importing, listing, store
from infill.settings import Settings


def _imported(folder: Path, name: str, **shape: Any) -> store.Manifest:
    (folder / name).write_bytes(small_gguf(**shape))
    manifest = importing.import_file(folder / name)
    assert manifest is not None
    return manifest


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param({"qwen2.pooling_type": 3, "chat": True}, id="an embedding model made of a chat model"),
        pytest.param({"qwen2.pooling_type": 4}, id="a reranking model"),
        pytest.param({"qwen2.attention.causal": False}, id="a model that looks at both sides"),
        pytest.param({"general.architecture": "nomic-bert", "nomic-bert.block_count": 2}, id="an encoder"),
        pytest.param({"general.name": "Qwen3 Reranker 0.6B", "chat": True}, id="a reranking model that says so in its name only"),
        pytest.param({"qwen2.classifier.output_labels": ["yes", "no"]}, id="a classifier"),
    ],
)
def test_a_model_that_generates_no_text_has_no_role_and_cannot_be_chosen(home: Path, tmp_path: Path, shape: dict[str, Any]) -> None:
    manifest = _imported(tmp_path, "vectors.gguf", **shape)
    assert manifest.roles == ()
    choice = next(choice for choice in listing.listing(Settings()).choices if choice.id == manifest.full_id)
    assert choice.roles == ()
    for role in ("complete", "generate"):
        with pytest.raises(ModelError, match="embedding or reranking"):
            listing.use(manifest.id, role)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "roles"),
    [
        ({"fim": True, "qwen2.pooling_type": 0, "qwen2.attention.causal": True}, ("complete",)),
        ({"fim": True, "chat": True}, ("complete", "generate")),
        ({"fim": False, "chat": True}, ("complete", "generate")),
        ({"fim": False, "chat": False}, ("complete",)),
    ],
)
def test_a_model_that_generates_text_has_the_roles_of_its_vocabulary_and_template(
    home: Path, tmp_path: Path, shape: dict[str, Any], roles: tuple[str, ...]
) -> None:
    assert _imported(tmp_path, "m.gguf", **shape).roles == roles


@pytest.mark.parametrize(
    ("name", "header", "title"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", {"general.name": "Smollm2 135M 8k Lc100K Mix1 Ep2"}, "SmolLM2-135M-Instruct"),
        ("qwen2.5-coder-7b-instruct-q4_k_m.gguf", {"general.name": "qwen2.5-coder-7b-instruct-awq"}, "qwen2.5-coder-7b-instruct"),
        ("Big-Q8_0-00001-of-00001.gguf", {}, "Big"),
        ("ggml-model-q4_0.gguf", {"general.basename": "SmolLM2", "general.size_label": "135M"}, "SmolLM2 135M"),
        ("model.gguf", {"general.name": "A name"}, "A name"),
    ],
)
def test_a_title_is_what_a_person_calls_it(home: Path, tmp_path: Path, name: str, header: dict[str, Any], title: str) -> None:
    assert _imported(tmp_path, name, **header).title == title


def test_a_model_can_be_given_another_title(home: Path, tmp_path: Path) -> None:
    manifest = _imported(tmp_path, "m.gguf")
    assert store.rename("m", "  My   model ").title == "My model"
    assert store.find(manifest.id).title == "My model"
    assert store.locate(manifest.id).path == tmp_path / "m.gguf"
    for model, name in (("m", " "), ("m", "x" * 1000), ("bundled", "Mine")):
        with pytest.raises(ModelError):
            store.rename(model, name)


@pytest.mark.parametrize("version", [2, 3])
def test_a_big_endian_file_is_called_so(tmp_path: Path, version: int) -> None:
    file = tmp_path / "big.gguf"
    file.write_bytes(MODEL[:4] + struct.pack(">I", version) + MODEL[8:])
    with pytest.raises(BadModelFile, match="big-endian"):
        gguf.read(file)


LOAD = """
import resource, sys
from pathlib import Path
import psutil
from infill.engine.llama import Model
from infill.models.fit import Plan
most = psutil.Process().memory_info().vms + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (most, most))
Model(Path(sys.argv[1]), Plan(mmap=sys.argv[3] == "mmap"), lambda share: True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of address space")
@pytest.mark.parametrize(("room", "way"), [(6_000_000, "read"), (10_000_000, "read"), (9_000_000, "mmap")])
def test_too_little_memory_at_load_is_told_as_that(room: int, way: str) -> None:
    command = [sys.executable, "-c", LOAD, str(paths.bundled_model()), str(room), way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "DoesNotFit: Not enough memory to load" in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("complaint", "kind", "says"),
    [
        ("llama_model_load: error loading model: std::bad_alloc", DoesNotFit, "Not enough memory"),
        ("llama_model_load: error loading model: mmap failed: Cannot allocate memory", DoesNotFit, "Not enough memory"),
        (
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 900 MiB on device 0: cudaMalloc failed: out of memory",
            DoesNotFit,
            "Not enough memory",
        ),
        ("llama_model_load: error loading model: wrong number of tensors; expected 2, got 1", BadModelFile, "wrong number of tensors"),
        ("", BadModelFile, "does not say why"),
    ],
)
def test_only_a_damaged_file_is_called_damaged(complaint: str, kind: type[Exception], says: str) -> None:
    error = load_error(paths.bundled_model(), [complaint])
    assert isinstance(error, kind)
    assert says in error.message
    assert "damaged" not in error.message


def test_a_damaged_file_is_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(MODEL[:2000])
    error = load_error(tmp_path / "m.gguf", ["llama_model_load: error loading model: key not found"])
    assert "m.gguf is damaged" in error.message or "m.gguf is cut short" in error.message
