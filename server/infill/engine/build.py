"""Build llama-cpp-python for this machine's processor and GPU, beside the installed one, and switch to it once it has proved itself.

    find tools -> choose a backend -> flags from the hardware -> pip builds into data/llama_cpp/.building-* -> checked in throw-away processes
    -> renamed to data/llama_cpp/<digest> -> current.json replaced in one step

Whatever fails on the way leaves the one in use as it was. A build of the same version with the same flags is made once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from infill import paths
from infill.errors import InfillError
from infill.models import child, library, store
from infill.models.library import Built
from infill.models.machine import Machine
from infill.state import write_atomically

Backend = Literal["cpu", "cuda", "metal", "vulkan", "hip"]
Wanted = Literal["auto", "cpu", "cuda", "metal", "vulkan", "hip"]

VERSION = "0.3.36"
"""The version that this program was measured and tested with."""
PACKAGE = "llama-cpp-python"
STEP = re.compile(r"\[(\d+)/(\d+)\]")
POLL_SECONDS = 0.2
CHECK_SECONDS = 120
KEPT_LINES = 400
DEVICES: dict[Backend, str] = {"cuda": "CUDA", "metal": "Metal", "vulkan": "Vulkan", "hip": "ROCm"}
"""How a backend's devices are called by ggml, at the beginning of their names."""


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to build with; empty where a tool was not found."""

    compiler: str = ""
    cmake: str = ""
    """Found or not: pip brings cmake and ninja where they are missing."""
    nvcc: str = ""
    vulkan: str = ""
    """The shader compiler of the Vulkan SDK."""
    hip: str = ""
    metal: bool = False
    architectures: tuple[str, ...] = ()
    """Compute capabilities of the NVIDIA cards, such as `89`."""
    hip_targets: tuple[str, ...] = ()


class BuildPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be built, and why."""

    version: str
    backend: Backend
    flags: tuple[str, ...]
    directory: str
    reasons: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """A sentence for each tool that is needed and not there."""
    built: bool = False
    """It was built before: only to be switched to."""


class BuildFailed(InfillError):
    """With the last lines of the log and what to do."""


def find_tools(machine: Machine, environment: Mapping[str, str] = os.environ) -> Tools:
    """Look on the PATH, and where CUDA, ROCm and the Vulkan SDK install themselves."""
    path = environment.get("PATH", "")
    cuda = environment.get("CUDA_PATH") or environment.get("CUDA_HOME") or "/usr/local/cuda"
    rocm = environment.get("ROCM_PATH") or "/opt/rocm"

    def find(*names: str, beside: str = "") -> str:
        places = [path, *([str(Path(beside) / "bin")] if beside else [])]
        return next((found for name in names for place in places if (found := shutil.which(name, path=place))), "")

    return Tools(
        compiler=environment.get("CXX", "") or find("c++", "g++", "clang++", "cl"),
        cmake=find("cmake"),
        nvcc=find("nvcc", beside=cuda),
        vulkan=find("glslc", beside=environment.get("VULKAN_SDK", "")),
        hip=find("hipcc", beside=rocm),
        metal=machine.system == "Darwin" and bool(find("xcrun")),
        architectures=tuple(sorted({card.compute_capability.replace(".", "") for card in machine.nvidia if card.compute_capability})),
        hip_targets=_hip_targets(find("rocm_agent_enumerator", beside=rocm)),
    )


def plan(wanted: Wanted, tools: Tools, machine: Machine) -> BuildPlan:
    """What to build for this machine. Nothing is started; what is missing is said in the plan."""
    backend, reasons = _choose(wanted, tools, machine)
    flags = _flags(backend, tools, machine)
    digest = hashlib.sha256(repr((VERSION, flags, sys.version_info[:2], machine.architecture)).encode()).hexdigest()[:16]
    directory = library.builds_directory() / digest
    return BuildPlan(
        version=VERSION,
        backend=backend,
        flags=flags,
        directory=str(directory),
        reasons=tuple(reasons),
        missing=_missing(backend, tools, machine),
        built=(directory / "llama_cpp").is_dir(),
    )


def build(
    wanted: BuildPlan,
    progress: Callable[[float, str], None] = lambda share, what: None,
    cancelled: Callable[[], bool] = lambda: False,
    source: str = "",
) -> Built | None:
    """Build, check, switch; None when it was cancelled. Takes minutes; `source` is an archive to build instead of the published one.

    Raises BuildFailed, and then the one in use stays in use.
    """
    if wanted.missing:
        raise BuildFailed(" ".join(wanted.missing), "Install it, build for the processor (--backend cpu), or use a remote provider.")
    made = Built(
        directory=wanted.directory,
        version=wanted.version,
        python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        backend=wanted.backend,
        flags=wanted.flags,
        built=time.time(),
    )
    with store.locked("llama_cpp.build"), store.writing():
        if not wanted.built and not _compile(wanted, made, progress, cancelled, source):
            return None
        progress(0.97, "checking")
        check(made)
        switch(made)
    progress(1.0, "done")
    return made


def check(made: Built) -> None:
    """Load it in throw-away processes: it sees the device that it was built for, and generates with the bundled model. Raises BuildFailed."""
    report = _answer(made, "infill.engine.probe")
    if report.get("llama_cpp") != made.version:
        raise BuildFailed(f"What was built says to be version {report.get('llama_cpp')}, not {made.version}.", _LOG_HINT)
    name = DEVICES.get(made.backend)  # type: ignore[call-overload]
    devices = [str(device["name"]) for device in report.get("devices") or []]
    if name and not any(device.startswith((name, "MTL")) for device in devices):
        raise BuildFailed(f"It was built for {name}, but sees no such device (only {', '.join(devices)}).", "Check the driver, or use --backend cpu.")
    speeds = _answer(made, "infill.engine.measure", "quick", str(paths.bundled_model()), "1")
    if not speeds.get("bundled_per_second"):
        raise BuildFailed("What was built does not generate.", _LOG_HINT)


def switch(made: Built) -> None:
    """Use a build from the next start of the engine on."""
    write_atomically(library.builds_directory() / "current.json", msgspec.json.format(msgspec.json.encode(made)))


def reset() -> bool:
    """Use the installed package again; False where it is in use already. Builds are kept."""
    try:
        (library.builds_directory() / "current.json").unlink()
    except FileNotFoundError:
        return False
    return True


def log_file() -> Path:
    """Everything that the last build printed."""
    return paths.log_directory() / "build.log"


_LOG_HINT = "The log of the build says more: `infill build --log`."


def _choose(wanted: Wanted, tools: Tools, machine: Machine) -> tuple[Backend, list[str]]:
    if wanted != "auto":
        return wanted, [f"{wanted} was asked for."]
    if machine.system == "Darwin" and machine.architecture == "arm64":
        return "metal", ["This is an Apple processor: its GPU is driven through Metal."]
    if machine.nvidia:
        cards = ", ".join(card.title for card in machine.nvidia)
        if tools.nvcc:
            return "cuda", [f"There is {cards}, and the CUDA compiler {tools.nvcc}."]
        if tools.vulkan:
            return "vulkan", [f"There is {cards}, no CUDA compiler, but the Vulkan SDK."]
        return "cpu", [f"There is {cards}, but neither the CUDA toolkit (nvcc) nor the Vulkan SDK (glslc) to build for it."]
    if tools.hip and tools.hip_targets:
        return "hip", [f"There is an AMD GPU ({', '.join(tools.hip_targets)}) and ROCm."]
    if tools.vulkan:
        return "vulkan", ["The Vulkan SDK is there."]
    return "cpu", ["No GPU that could be built for was found."]


def _flags(backend: Backend, tools: Tools, machine: Machine) -> tuple[str, ...]:
    """CMake's, as they follow from the hardware."""
    flags = ["-DGGML_NATIVE=ON", "-DLLAMA_CURL=OFF"]
    if backend == "cpu":
        flags += ["-DGGML_METAL=OFF"] if machine.system == "Darwin" else []
    elif backend == "cuda":
        flags += ["-DGGML_CUDA=ON", *([f"-DCMAKE_CUDA_COMPILER={tools.nvcc}"] if tools.nvcc else [])]
        flags += [f"-DCMAKE_CUDA_ARCHITECTURES={';'.join(tools.architectures)}"] if tools.architectures else []
    elif backend == "hip":
        flags += ["-DGGML_HIP=ON", *([f"-DAMDGPU_TARGETS={';'.join(tools.hip_targets)}"] if tools.hip_targets else [])]
    else:
        flags += [f"-DGGML_{backend.upper()}=ON"]
    return tuple(flags)


def _missing(backend: Backend, tools: Tools, machine: Machine) -> tuple[str, ...]:
    said = []
    if not tools.compiler:
        how = {"Darwin": "xcode-select --install", "Windows": "the Visual Studio Build Tools"}.get(
            machine.system, "the package g++ or build-essential"
        )
        said.append(f"A C++ compiler is missing ({how}).")
    needed = {"cuda": (tools.nvcc, "The CUDA toolkit (nvcc)"), "vulkan": (tools.vulkan, "The Vulkan SDK (glslc)"), "hip": (tools.hip, "ROCm (hipcc)")}
    if backend in needed and not needed[backend][0]:
        said.append(f"{needed[backend][1]} is missing.")
    if backend == "metal" and not tools.metal:
        said.append("Metal is missing: it comes with macOS and Xcode's command line tools.")
    return tuple(said)


def _hip_targets(enumerator: str) -> tuple[str, ...]:
    if not enumerator:
        return ()
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run([enumerator], capture_output=True, text=True, timeout=20, check=False)
        return tuple(sorted({line for line in done.stdout.split() if line.startswith("gfx") and line != "gfx000"}))
    return ()


def pip_command(wanted: BuildPlan, target: Path, source: str) -> list[str]:
    """What builds it; what llama-cpp-python needs beside itself is installed with infill already."""
    what = source or f"{PACKAGE}=={wanted.version}"
    return child.python("-m", "pip", "install", "--verbose", "--no-deps", "--no-cache-dir", "--no-binary", PACKAGE, "--target", str(target), what)


def _compile(wanted: BuildPlan, made: Built, progress: Callable[[float, str], None], cancelled: Callable[[], bool], source: str) -> bool:
    """Run pip into a directory beside, then give it its name; False when cancelled."""
    builds = paths.private_directory(library.builds_directory())
    for left in builds.glob(".building-*"):  # of a build that was killed: we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    target = builds / f".building-{os.getpid()}"
    paths.private_directory(log_file().parent)
    last: list[str] = []
    try:
        environment = {"CMAKE_ARGS": shlex.join(wanted.flags), "FORCE_CMAKE": "1"}
        with log_file().open("w", encoding="utf-8") as log, child.running(pip_command(wanted, target, source), words=True, more=environment) as pip:
            log.write(f"{wanted}\n")
            while True:
                if cancelled():
                    return False
                line = pip.line(POLL_SECONDS)
                if line is None:
                    continue
                if not line:
                    break
                text = line.decode("utf-8", "replace")
                log.write(text)
                last = [*last[-KEPT_LINES:], text.strip()]
                if found := STEP.search(text):
                    progress(0.95 * int(found[1]) / max(1, int(found[2])), "compiling")
            code = pip.code()
        if code != 0 or not (target / "llama_cpp").is_dir():
            raise BuildFailed(f"The build failed: {_reason(last)}", _LOG_HINT)
        directory = Path(made.directory)
        shutil.rmtree(directory, ignore_errors=True)
        target.replace(directory)
        return True
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _reason(lines: list[str]) -> str:
    """The line that says why, among what compilers print."""
    telling = [line for line in lines if re.search(r"(?i)\b(error|no such file|not found|no space)\b", line)]
    return (telling or lines or ["pip said nothing."])[0][:300]


def _answer(made: Built, module: str, *arguments: str) -> dict[str, Any]:
    with child.running(child.python("-m", module, *arguments), built=made) as process:
        deadline = time.monotonic() + CHECK_SECONDS
        while time.monotonic() < deadline:
            line = process.line(POLL_SECONDS)
            if line:
                return msgspec.json.decode(line, type=dict[str, Any])
            if line is not None:
                raise BuildFailed("What was built crashes when it is used.", _LOG_HINT)
    raise BuildFailed(f"What was built gives no answer within {CHECK_SECONDS} s.", _LOG_HINT)
