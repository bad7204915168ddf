"""The llama.cpp that this machine uses: the installed llama-cpp-python, or one built by `infill build`. Reads files; never imports it.

data/llama_cpp/current.json         the build in use; replaced atomically, deleted to go back
data/llama_cpp/<digest>/            a build: the result of `pip install --target`
state/builds/<identity>.json        the instruction sets of a build, stored when it first runs
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import sys
from pathlib import Path

import msgspec

from infill import paths, state
from infill.environment import inherited
from infill.errors import InfillError

BACKENDS = {"cuda": "CUDA", "metal": "Metal", "vulkan": "Vulkan", "hip": "ROCm", "sycl": "SYCL", "musa": "MUSA", "cann": "CANN", "opencl": "OpenCL"}
"""Names of ggml's libraries -> names of their backends."""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """One build of llama-cpp-python."""

    directory: str
    version: str
    python: str
    """Such as `3.11`: a build works with one Python version only."""
    backend: str
    flags: tuple[str, ...] = ()
    built: float = 0.0


def builds_directory() -> Path:
    """The directory of builds."""
    return paths.data_directory() / "llama_cpp"


def current() -> Built | None:
    """The build in use; None for the installed package."""
    built = state.read(builds_directory() / "current.json", Built)
    if built is None or built.python != f"{sys.version_info[0]}.{sys.version_info[1]}":
        return None
    with contextlib.suppress(OSError, ValueError):
        return built if (Path(built.directory) / "llama_cpp").is_dir() else None
    return None


def environment(built: Built | None = None) -> dict[str, str]:
    """Environment variables for a process that uses that build, by default the current one."""
    chosen = built or current()
    if chosen is None:
        return inherited()
    behind = os.environ.get("PYTHONPATH", "")
    return {**inherited(), "PYTHONPATH": os.pathsep.join(part for part in (chosen.directory, behind) if part)}


def version() -> str:
    """The version of llama-cpp-python; empty where it is not installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    if chosen := current():
        return chosen.version
    try:
        return installed_version("llama-cpp-python")
    except PackageNotFoundError:
        return ""


def gpu_backends() -> tuple[str, ...]:
    """GPU backends of the library in use; empty: only the CPU."""
    names = {file.name for file in _library_directory().glob("*ggml-*")}
    return tuple(title for name, title in BACKENDS.items() if any(f"ggml-{name}" in file for file in names))


def identity() -> str:
    """A key of the llama.cpp in use: changes with its version and when its libraries are replaced."""
    files = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(_library_directory().glob("*"))]
    return hashlib.sha256(repr((version(), files)).encode()).hexdigest()[:16]


def features_of(system: str) -> tuple[str, ...]:
    """Names from `llama_print_system_info`: instruction sets, `REPACK`, and the backends."""
    return tuple(re.findall(r"(\w+) = 1", system)) + tuple(re.findall(r"(\w+) : (?!$)", system))


def features() -> tuple[str, ...]:
    """The features that the llama.cpp in use reported when it first ran on this machine; empty before that."""
    return state.read(_features_file(), tuple[str, ...]) or ()


def keep_features(found: tuple[str, ...]) -> None:
    """Store `features_of` the llama.cpp in use; errors of the file system are ignored."""
    with contextlib.suppress(OSError, InfillError):
        paths.private_directory(_features_file().parent)
        state.write_atomically(_features_file(), msgspec.json.encode(found))


def _features_file() -> Path:
    return paths.state_directory() / "builds" / f"{identity()}.json"


def _library_directory() -> Path:
    if chosen := current():
        return Path(chosen.directory) / "llama_cpp" / "lib"
    spec = importlib.util.find_spec("llama_cpp")
    return Path(spec.origin).parent / "lib" if spec and spec.origin else Path()
