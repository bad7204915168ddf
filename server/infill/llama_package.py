"""The llama-cpp-python package that infill uses: its version, its prebuilt wheels, and how to compile it.

Shared by `install.py`, which runs before anything is installed, and by `engine/build.py`. Invariant: imports the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from infill import programs

VERSION = "0.3.36"
"""The version that infill was measured and tested with."""
SOURCE_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
"""SHA-256 of that version's source distribution on PyPI, as in requirements.lock."""
PACKAGE = "llama-cpp-python"
INDEX = "https://abetlen.github.io/llama-cpp-python/whl"
"""Index of the llama-cpp-python project's wheels, one per backend (its README, "Pre-built Wheel")."""
CUDA_INDEXES = ((11, 8), (12, 1), (12, 2), (12, 3), (12, 4), (12, 5), (13, 0), (13, 2))
"""CUDA runtime versions with published wheels."""
STEP = re.compile(r"\[(\d+)/(\d+)\]")
"""ninja's output for a step."""
COMMON_OFF = """\
# llama-cpp-python forces llama.cpp's common library on (chat parsers, HTTP); its Python bindings use nothing of it.
macro(add_subdirectory)
  set(LLAMA_BUILD_COMMON OFF CACHE BOOL "" FORCE)
  _add_subdirectory(${ARGV})
endmacro()
"""
REASON = re.compile(r"(?i)\b(error|fatal|not found|no such file|no space|denied|undefined reference|killed|do not match|timed out)\b")
NOT_A_REASON = re.compile(
    r"(?i)subprocess-exited-with-error|end of output|error originates|\bnote: |\bwarning: |failed building wheel|failed to build"
)
LONGEST_REASON = 200
ANSWER_SECONDS = 15
"""pip's timeout for an index."""


def indexes(system: str, architecture: str, *, cuda: tuple[int, int] | None = None, rocm: bool = False, vulkan: bool = False) -> tuple[str, ...]:
    """Names of the prebuilt indexes for such a machine, fastest backend first. `cuda`: the newest version that the driver supports."""
    if system == "Darwin":
        return ("metal",) if architecture == "arm64" else ("cpu",)
    names = []
    if cuda and (same := [version for version in CUDA_INDEXES if version[0] == cuda[0] and version <= cuda]):
        names.append(f"cu{same[-1][0]}{same[-1][1]}")
    if rocm:
        names.append("hip-radeon" if system == "Windows" else "rocm72")
    if vulkan:
        names.append("vulkan")
    return (*names, "cpu")


def cuda_of_driver() -> tuple[int, int] | None:
    """The newest CUDA version that the installed NVIDIA driver supports; None without one. Takes up to 20 s."""
    if program := programs.find("nvidia-smi"):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run([program], capture_output=True, text=True, timeout=20, check=False, errors="replace")
            if found := re.search(r"CUDA Version:\s*(\d+)\.(\d+)", done.stdout):
                return int(found[1]), int(found[2])
    return None


def fetch_arguments(index: str, name: str) -> list[str]:
    """Arguments of `pip install` to download a wheel from one of the prebuilt indexes only."""
    options = ["--isolated", "--no-deps", "--no-cache-dir", "--only-binary", PACKAGE, "--timeout", str(ANSWER_SECONDS), "--retries", "1"]
    return [*options, "--index-url", f"{index.rstrip('/')}/{name}", f"{PACKAGE}=={VERSION}"]


def source_arguments(folder: Path) -> list[str]:
    """Arguments of `pip install` that accept only this version's source, by its hash. Writes the constraints file that they use to `folder`."""
    pinned = folder / "source.txt"
    pinned.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{SOURCE_SHA256}\n", "utf-8")
    return ["--require-hashes", "--no-binary", PACKAGE, "-r", str(pinned)]


def compile_flags(folder: Path) -> tuple[str, ...]:
    """CMake flags that exclude unused parts of llama.cpp: images, chat parsers, HTTP. Writes the file that they name to `folder`."""
    include = folder / "common_off.cmake"
    include.write_text(COMMON_OFF, "utf-8")
    return ("-DLLAVA_BUILD=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_CURL=OFF", f"-DCMAKE_PROJECT_llama_cpp_INCLUDE={include.as_posix()}")


def reasons(lines: Iterable[str]) -> tuple[str, ...]:
    """Up to three lines of output with the reason why pip or a compiler failed, without repetitions; the last lines if none matches."""
    clean = [line.strip()[:LONGEST_REASON] for line in lines if line.strip()]
    found = dict.fromkeys(line for line in clean if REASON.search(line) and not NOT_A_REASON.search(line))
    return tuple(found)[:3] or tuple(clean[-3:])


def compiler(environment: Mapping[str, str] = os.environ) -> str:
    """The path of a C++ compiler, or of Visual Studio, whose compiler CMake finds; empty where none is installed."""
    path = environment.get("PATH", "")
    found = (programs.find(name, path) for name in ("c++", "g++", "clang++", "cl"))
    return environment.get("CXX", "") or next(filter(None, found), None) or _visual_studio(environment)


def _visual_studio(environment: Mapping[str, str]) -> str:
    where = Path(environment.get("ProgramFiles(x86)", "")) / "Microsoft Visual Studio" / "Installer" / "vswhere.exe"
    if not where.exists():
        return ""
    component = "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
    command = [str(where), "-latest", "-products", "*", "-requires", component, "-property", "installationPath"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    return ""
