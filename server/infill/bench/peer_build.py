"""Builds llama-server and llama-bench from llama-cpp-python's source distribution, so that both sides run the same llama.cpp.

The version and the compiler flags are those of the installed library. The programs are kept in the cache directory; building takes about ten
minutes on two cores. No test builds them.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from infill import paths
from infill.errors import InfillError

OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "ON",
    "GGML_NATIVE": "ON",
    "LLAMA_BUILD_COMMON": "ON",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_SERVER": "ON",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_TOOLS": "ON",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_OPENSSL": "OFF",
}
PROGRAMS = ("llama-server", "llama-bench", "llama-quantize")
"""`ollama create` calls llama-quantize if an Ollama built from source uses this llama.cpp."""


def version() -> str:
    """The version of the installed llama-cpp-python."""
    return importlib.metadata.version("llama-cpp-python")


def folder() -> Path:
    return paths.cache_directory() / "bench" / f"llama.cpp-of-{version()}"


def program(name: str) -> Path | None:
    """The path of a built program; None if it was not built. `INFILL_BENCH_LLAMA` names a folder of programs built elsewhere."""
    for place in (os.environ.get("INFILL_BENCH_LLAMA", ""), str(folder() / "build" / "bin")):
        if place and (found := Path(place) / f"{name}{'.exe' if sys.platform == 'win32' else ''}").is_file():
            return found
    return None


def needed(name: str) -> Path:
    """The path of a built program. Raises InfillError with the command that builds it."""
    found = program(name)
    if found is None:
        raise InfillError(f"{name} has not been built yet.", "`infill bench build-peer` does it, in about ten minutes.")
    return found


def build(say: Callable[[str], None], source: Path | None = None, jobs: int = 0, more: Sequence[str] = ()) -> Path:
    """Build the programs. `source` is the source distribution; pip downloads it if omitted. Raises InfillError with the log's path.

    `more` are further options for cmake, such as `-DGGML_CUDA=ON`.
    """
    for tool in ("cmake", "c++"):
        if not shutil.which(tool):
            raise InfillError(f"Building llama-server needs {tool}, which is not here.", "Install a C++ compiler and cmake.")
    target = folder()
    target.mkdir(parents=True, exist_ok=True)
    log = target / "build.log"
    archive = source or _fetch(target, log, say)
    say("Unpacking llama.cpp ...")
    tree = _unpack(archive, target)
    say(f"Building {', '.join(PROGRAMS)}; the log is {log} ...")
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    options = [*(f"-D{name}={value}" for name, value in OPTIONS.items()), *more]
    _run(["cmake", *generator, "-S", str(tree), "-B", str(target / "build"), *options], log)
    _run(["cmake", "--build", str(target / "build"), "-j", str(jobs or os.cpu_count() or 1), "--target", *PROGRAMS], log)
    return needed("llama-server")


def _fetch(target: Path, log: Path, say: Callable[[str], None]) -> Path:
    say(f"Fetching the source of llama-cpp-python {version()} ...")
    wanted = ["--no-binary", "llama-cpp-python", "--no-deps", f"llama-cpp-python=={version()}"]
    _run([sys.executable, "-m", "pip", "download", "--dest", str(target), *wanted], log)
    found = sorted(target.glob("llama_cpp_python-*.tar.gz"))
    if not found:
        raise InfillError("pip brought no source distribution of llama-cpp-python.", f"The log is {log}.")
    return found[-1]


def _unpack(archive: Path, target: Path) -> Path:
    """Extract only the llama.cpp tree."""
    with tarfile.open(archive) as tar:
        members = [member for member in tar.getmembers() if "/vendor/llama.cpp/" in member.name and ".." not in Path(member.name).parts]
        if not members:
            raise InfillError(f"{archive.name} holds no llama.cpp.", "It has to be the source distribution of llama-cpp-python.")
        tar.extractall(target / "source", members)  # noqa: S202 - checked above
    return next((target / "source").glob("*/vendor/llama.cpp"))


def _run(command: list[str], log: Path) -> None:
    with log.open("ab") as stream:
        done = subprocess.run(command, stdout=stream, stderr=stream, check=False)
    if done.returncode:
        raise InfillError(f"`{' '.join(command[:3])} ...` failed.", f"The log is {log}.")
