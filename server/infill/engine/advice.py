"""Maps the last lines of a crashed engine's stderr to a message and the next step. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from infill.engine import exits
from infill.errors import ComputationCrashed, EngineCrashed

AGAIN = "It is started again, with plainer kernels if these are to blame. If it happens again, report its last lines (`infill engine status`)."
KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"out of memory|failed to allocate|bad_alloc|MemoryError|cannot allocate|ErrorOutOfDeviceMemory",
        "The engine ran out of memory.",
        "Choose a smaller model, or set infill.engine.contextSize or infill.engine.gpuLayers lower.",
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
        "`infill doctor` says what is missing; `infill build` builds it again.",
    ),
    (
        r"No space left|Read-only file system|Permission denied|cannot be created|belongs to another user",
        "The engine could not write its files.",
        "Make room or set INFILL_HOME to a directory that you can write to.",
    ),
)
"""Pattern of a line, message, hint. The first match is used."""


MEMORY = KNOWN[0][0]


def crashed(lines: Sequence[str], exit_code: int | None = None, lacking: Sequence[str] = ()) -> EngineCrashed:
    """Return the error for an engine that crashed, from its last lines and its exit code.

    `lacking`: instruction sets that llama.cpp was built for and this processor does not have.
    The result is a ComputationCrashed if the next engine will avoid what crashed.
    """
    words = "\n".join(lines)
    kind = ComputationCrashed if computation(lines, exit_code) else EngineCrashed
    for pattern, message, hint in KNOWN:
        if re.search(pattern, words, re.IGNORECASE):
            return kind(message, hint)
    if signal := exits.signal_of(exit_code) or exits.signal_said(lines):
        if signal == "SIGILL" and lacking:
            return unusable(signal, lacking)
        return kind(f"llama.cpp crashed ({signal}).", AGAIN)
    if "GGML_ASSERT" in words:
        return kind("llama.cpp stopped on an internal error.", AGAIN)
    return EngineCrashed(
        "The engine ended without a word, as it does when the system stops it.",
        "It is started again. If memory is short, choose a smaller model.",
    )


def computation(lines: Sequence[str], exit_code: int | None = None) -> str:
    """The signal that ended an engine during a llama.cpp computation, if plainer kernels may avoid it; empty for any other cause."""
    if re.search(MEMORY, "\n".join(lines), re.IGNORECASE) or not exits.was_computing(lines):
        return ""
    return exits.signal_of(exit_code) or exits.signal_said(lines)


def unusable(signal: str, lacking: Sequence[str] = (), *, started: bool = True) -> EngineCrashed:
    """The error for a llama.cpp that does not run at all.

    `lacking`: instruction sets that its build uses and this processor does not have. `started`: it crashed after start-up.
    """
    if signal == "SIGILL" and lacking:
        message = f"llama.cpp was built for another processor: it uses {', '.join(lacking)}, which this one does not have."
    elif signal == "SIGILL" and not started:
        message = "llama.cpp crashes when it starts (SIGILL): it uses an instruction that this processor cannot execute."
    elif not started:
        message = f"llama.cpp crashes when it starts ({signal})."
    else:
        message = f"llama.cpp crashes on this machine even in its plainest configuration ({signal})."
    return EngineCrashed(message, "Compile it for this machine with `infill build`, or try a published one with `infill build --prebuilt`.")
