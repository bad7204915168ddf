"""Chooses how to build llama.cpp where its AMX code fails: with another compiler, else without AMX.

gcc 12 drops stores to the AMX tile configuration, because its intrinsics declare only 8 bytes of it (llama.cpp pull request 26954). Such a build
crashes with SIGILL at the first batch with quantized weights. gcc 13 and clang are not affected.
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
"""C and C++ compilers, in the order in which they are tried."""
WITHOUT = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"


def compilers(path: str) -> tuple[str, str] | tuple[()]:
    """The C and C++ compilers on this search path whose AMX code works; empty if there are none. Runs `gcc` once."""
    for names in (*COMPILERS, ("gcc", "g++")):
        c, cxx = (programs.find(name, path) for name in names)
        if c and cxx and (names[0] != "gcc" or _major(c) >= FIRST_GOOD_GCC):
            return c, cxx
    return ()


def flags(backend: str, good: tuple[str, str] | tuple[()], machine: Machine) -> tuple[tuple[str, ...], str]:
    """CMake flags for a machine whose self-tests failed with llama.cpp's extra buffers, and the reason; both empty for other machines."""
    why = kernels.failed_with_extra_buffers() if machine.system == "Linux" and "AMX" in machine.cpu.features else ""
    if not why:
        return (), ""
    # GPU compilers accept only some host compilers. A build that failed with a good compiler is not repeated.
    if good and backend == "cpu" and not _is_in_use(good[1]):
        return (
            f"-DCMAKE_C_COMPILER={good[0]}",
            f"-DCMAKE_CXX_COMPILER={good[1]}",
        ), f"It is compiled with {good[1]}, because llama.cpp {why} with AMX."
    return (f"-DCMAKE_C_FLAGS={WITHOUT}", f"-DCMAKE_CXX_FLAGS={WITHOUT}"), f"It is built without AMX, because llama.cpp {why} with it."


def _is_in_use(compiler: str) -> bool:
    """Whether the build in use was made by this compiler and failed its self-test too."""
    built = library.current()
    made = built is not None and f"-DCMAKE_CXX_COMPILER={compiler}" in built.flags
    return made and bool(kernels.failed_with_extra_buffers(build=library.identity()))


def _major(gcc: str) -> int:
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        done = subprocess.run([gcc, "-dumpversion"], env=inherited(), capture_output=True, text=True, timeout=20, check=False)
        return int(done.stdout.split(".")[0])
    return 0
