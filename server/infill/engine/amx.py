"""How llama.cpp is built where its AMX code fails: by another compiler, else without AMX.

gcc 12 drops the stores to AMX's tile configuration, as its intrinsics name 8 bytes of it only (llama.cpp's pull request 26954): such a build ends
with SIGILL at the first batch of quantized weights. gcc 13 and clang are not affected.
"""

from __future__ import annotations

import contextlib
import subprocess

from infill import programs
from infill.environment import inherited
from infill.models import kernels, library
from infill.models.machine import Machine

FIRST_GOOD_GCC = 13
COMPILERS = (("clang", "clang++"), *((f"gcc-{version}", f"g++-{version}") for version in range(16, FIRST_GOOD_GCC - 1, -1)))
"""For C and for C++, in the order in which they are tried."""
WITHOUT = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"


def compilers(path: str) -> tuple[str, str] | tuple[()]:
    """The C and the C++ compiler on this search path whose AMX code works; empty where there are none. Starts `gcc` once."""
    for names in (*COMPILERS, ("gcc", "g++")):
        c, cxx = (programs.find(name, path) for name in names)
        if c and cxx and (names[0] != "gcc" or _major(c) >= FIRST_GOOD_GCC):
            return c, cxx
    return ()


def flags(backend: str, good: tuple[str, str] | tuple[()], machine: Machine) -> tuple[tuple[str, ...], str]:
    """CMake's flags for a machine whose self-tests failed with llama.cpp's extra buffers, and the reason in a sentence; both empty elsewhere."""
    why = kernels.failed_with_extra_buffers() if machine.system == "Linux" and "AMX" in machine.cpu.features else ""
    if not why:
        return (), ""
    # a GPU's compiler takes only some host compilers; and a build that failed although it came from a good compiler is not made again
    if good and backend == "cpu" and not _is_in_use(good[1]):
        return (
            f"-DCMAKE_C_COMPILER={good[0]}",
            f"-DCMAKE_CXX_COMPILER={good[1]}",
        ), f"It is compiled with {good[1]}, because llama.cpp {why} with AMX."
    return (f"-DCMAKE_C_FLAGS={WITHOUT}", f"-DCMAKE_CXX_FLAGS={WITHOUT}"), f"It is built without AMX, because llama.cpp {why} with it."


def _is_in_use(compiler: str) -> bool:
    """Whether the build in use was made by it, and its self-test failed too."""
    built = library.current()
    made = built is not None and f"-DCMAKE_CXX_COMPILER={compiler}" in built.flags
    return made and bool(kernels.failed_with_extra_buffers(build=library.identity()))


def _major(gcc: str) -> int:
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        done = subprocess.run([gcc, "-dumpversion"], env=inherited(), capture_output=True, text=True, timeout=20, check=False)
        return int(done.stdout.split(".")[0])
    return 0
