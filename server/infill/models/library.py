"""Which llama.cpp this machine uses: the installed llama-cpp-python, or one that `infill build` made. Looks at files; never imports it.

data/llama_cpp/current.json         which build is used; replaced in one step, removed to go back
data/llama_cpp/<digest>/            a build: what `pip install --target` left there
state/builds/<identity>.json        the instruction sets that a build uses, kept when it first runs
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
"""Names of ggml's libraries -> what they drive."""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """One build of llama-cpp-python."""

    directory: str
    version: str
    python: str
    """`3.11`: a build serves no other."""
    backend: str
    flags: tuple[str, ...] = ()
    built: float = 0.0


def builds_directory() -> Path:
    """Where builds are kept."""
    return paths.data_directory() / "llama_cpp"


def current() -> Built | None:
    """The build in use; None where the installed package is."""
    built = state.read(builds_directory() / "current.json", Built)
    if built is None or built.python != f"{sys.version_info[0]}.{sys.version_info[1]}":
        return None
    with contextlib.suppress(OSError, ValueError):
        return built if (Path(built.directory) / "llama_cpp").is_dir() else None
    return None


def environment(built: Built | None = None) -> dict[str, str]:
    """The environment of a process that shall use that build, by default the current one."""
    chosen = built or current()
    if chosen is None:
        return inherited()
    behind = os.environ.get("PYTHONPATH", "")
    return {**inherited(), "PYTHONPATH": os.pathsep.join(part for part in (chosen.directory, behind) if part)}


def version() -> str:
    """Of llama-cpp-python; empty where there is none."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    if chosen := current():
        return chosen.version
    try:
        return installed_version("llama-cpp-python")
    except PackageNotFoundError:
        return ""


def gpu_backends() -> tuple[str, ...]:
    """What the library in use can drive beside the processor; without any there is no device to ask for."""
    names = {file.name for file in _library_directory().glob("*ggml-*")}
    return tuple(title for name, title in BACKENDS.items() if any(f"ggml-{name}" in file for file in names))


def identity() -> str:
    """Of the llama.cpp in use: changes with its version, and when its libraries are replaced."""
    files = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(_library_directory().glob("*"))]
    return hashlib.sha256(repr((version(), files)).encode()).hexdigest()[:16]


def features_of(system: str) -> tuple[str, ...]:
    """Names out of `llama_print_system_info`: instruction sets, `REPACK`, and the backends."""
    return tuple(re.findall(r"(\w+) = 1", system)) + tuple(re.findall(r"(\w+) : (?!$)", system))


def features() -> tuple[str, ...]:
    """What the llama.cpp in use said of itself when it first ran here; empty before that."""
    return state.read(_features_file(), tuple[str, ...]) or ()


def keep_features(found: tuple[str, ...]) -> None:
    """Remember `features_of` the llama.cpp in use; not where nothing can be written."""
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
