"""What the last lines of a dead engine mean to a user. Pure: lines in, a sentence and the next step out."""

from __future__ import annotations

import re
from collections.abc import Sequence

from infill.errors import EngineCrashed

KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"out of memory|failed to allocate|bad_alloc|MemoryError|cannot allocate|ErrorOutOfDeviceMemory",
        "The engine ran out of memory.",
        "Choose a smaller model, or set infill.engine.contextSize or infill.engine.gpuLayers lower.",
    ),
    (
        r"Illegal instruction|SIGILL",
        "llama.cpp was built for another processor than this one.",
        "`infill build` builds it for this machine.",
    ),
    (
        r"CUDA error|cudaError|no CUDA-capable device|CUDA driver version|ggml_vulkan|vk::|hipError|Metal.*error",
        "The graphics driver failed.",
        "Set infill.engine.gpuLayers to 0 to go on without the graphics card, and look for an update of its driver.",
    ),
    (
        r"does not come back from a computation|computed for too long",
        "The model hung and was ended.",
        "If it happens again, choose another model or set infill.engine.gpuLayers to 0.",
    ),
    (
        r"cannot open shared object|Library not loaded|No module named|ImportError|DLL load failed|llama\.cpp cannot be imported",
        "llama.cpp is not installed as it should be.",
        "`infill doctor` says what is missing; `infill build` builds it anew.",
    ),
    (
        r"No space left|Read-only file system|Permission denied|cannot be created|belongs to another user",
        "The engine could not write its files.",
        "Make room or set INFILL_HOME to a directory that you can write to.",
    ),
    (
        r"GGML_ASSERT|Fatal Python error: Segmentation fault|SIGSEGV|SIGABRT|Aborted",
        "llama.cpp gave up on an error of its own.",
        "It is started again. If it happens again, choose another model and report its last lines (`infill engine status`).",
    ),
)
"""Pattern of a line -> what happened, what to do; the first that fits wins."""


def crashed(lines: Sequence[str], exit_code: int | None = None) -> EngineCrashed:
    """Why an engine died, as far as its last lines and its exit code tell."""
    words = "\n".join(lines)
    if exit_code in (-4, 132):
        words += "\nIllegal instruction"
    for pattern, message, hint in KNOWN:
        if re.search(pattern, words, re.IGNORECASE):
            return EngineCrashed(message, hint)
    return EngineCrashed(
        "The engine ended without a word, as it does when the system stops it.",
        "It is started again. If memory is short, choose a smaller model.",
    )
