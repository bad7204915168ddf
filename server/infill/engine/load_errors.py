"""Why llama.cpp does not load a model file. Reads the file's header; no llama.cpp."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from infill.errors import BadModelFile, DoesNotFit, InfillError
from infill.models import gguf


def check_header(path: Path) -> None:
    """Raises BadModelFile if this is not a readable GGUF file."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as exc:
        raise BadModelFile(f"The model file {path} cannot be read: {exc.strerror}.") from exc
    if magic != b"GGUF":
        raise BadModelFile(f"{path.name} is not a GGUF file.", "Only models in llama.cpp's GGUF format can be loaded.")


MEMORY = re.compile(r"bad_alloc|length_error|allocate|insufficient memory|out of memory|not enough memory|ENOMEM|OutOfMemory", re.IGNORECASE)
"""How llama.cpp, ggml's backends and the operating system report a lack of memory."""


def load_error(path: Path, complaints: Sequence[str]) -> InfillError:
    """The error for a file that llama.cpp did not load, from its warnings and errors. A file counts as damaged only if its header is."""
    told = "\n".join(complaints)
    if "not within the file bounds" in told or "failed to read" in told:
        return BadModelFile(f"{path.name} is cut short: some of its weights are missing.", "Download it again.")
    if "unknown model architecture" in told:
        return BadModelFile(f"{path.name} has an architecture that this version of llama.cpp does not know.", "Update llama-cpp-python.")
    if MEMORY.search(told):
        return DoesNotFit(f"Not enough memory to load {path.name}.", "Choose a smaller model, or one with a stronger quantization.")
    try:
        gguf.read(path)
    except BadModelFile as exc:
        return exc
    reason = next((line.rpartition(": ")[2] for line in complaints if "error loading model" in line), "it does not say why")
    return BadModelFile(f"llama.cpp cannot load {path.name}: {reason.rstrip('.')}.", "Choose another file of this model, or update llama-cpp-python.")
