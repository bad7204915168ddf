"""Model files to measure, by their names on the command line: `bundled`, a shape such as `0.5b`, or the path of a file."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from infill import paths, state
from infill.bench import shapes
from infill.engine import build
from infill.errors import BadModelFile
from infill.models import gguf, library
from infill.state import BUNDLED

BENCH_ID = "bench-weights"
GGUF_STRING = 8
"""Type number of a string in GGUF metadata."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """A model file to measure."""

    name: str
    path: Path
    bundled: bool = False
    suffix_first: bool = False
    """The prompt has suffix-prefix-middle order."""
    trained_context: int = 32_768

    @property
    def model_id(self) -> str:
        return BUNDLED if self.bundled else f"local:{BENCH_ID}"


def weights(name: str, say: Callable[[str], None] = lambda _: None) -> Weights:
    """The file with this name; a shape is generated if missing. Raises BadModelFile or InfillError."""
    if name == "bundled":
        return _facts(name, paths.bundled_model(), bundled=True)
    if name.endswith(".gguf"):
        path = Path(name).expanduser().absolute()
        if not path.is_file():
            raise BadModelFile(f"There is no file {path}.", "Name a *.gguf file, a shape such as 0.5b, or `bundled`.")
        return _facts(path.stem, path)
    size, _, quantization = name.partition("-")
    return _facts(name, shapes.shape_file(size, quantization or "q4_k_m", say))


def _facts(name: str, path: Path, bundled: bool = False) -> Weights:
    return Weights(name=name, path=path, bundled=bundled, suffix_first=bundled, trained_context=gguf.facts(path).context)


def prefix_first() -> Weights:
    """The bundled weights with prefix-suffix-middle order, to measure moves of the suffix in the cache with real weights."""
    file = paths.cache_directory() / "bench" / "bundled-psm.gguf"
    content = paths.bundled_model().read_bytes()
    key = b"infill.fim_order" + struct.pack("<IQ", GGUF_STRING, 3)
    if key + b"spm" not in content:
        raise BadModelFile("The bundled model does not name its order.")
    file.parent.mkdir(parents=True, exist_ok=True)
    state.write_atomically(file, content.replace(key + b"spm", key + b"psm", 1))
    return _facts("bundled weights", file)


@contextmanager
def home(measured: Weights) -> Iterator[Path]:
    """A temporary INFILL_HOME for this process and its children, with that file in the user's catalogue.

    Measurements never use the user's engine, settings or models. Files built by `infill build` stay in use.
    """
    built = library.current()
    with tempfile.TemporaryDirectory(prefix="infill-bench-", ignore_cleanup_errors=True) as folder:
        config = Path(folder) / "config"
        config.mkdir()
        if not measured.bundled:
            entry = f'[[model]]\nid = "{BENCH_ID}"\ntitle = "{measured.name}"\npath = {_quoted(str(measured.path))}\n'
            (config / "models.toml").write_text(entry, encoding="utf-8")
        before = os.environ.get("INFILL_HOME")
        os.environ["INFILL_HOME"] = folder
        try:
            if built is not None:
                paths.private_directory(library.builds_directory())
                build.switch(built)
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["INFILL_HOME"]
            else:
                os.environ["INFILL_HOME"] = before


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
