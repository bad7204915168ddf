"""Builds llama-cpp-python for this machine's processor and GPU, next to the installed package, and switches to it once its checks pass.

    find tools -> choose a backend -> flags from the hardware -> [a prebuilt wheel, if requested] -> else pip builds it
    into data/llama_cpp/.building-* -> renamed to data/llama_cpp/<digest> -> checked in child processes -> current.json replaced atomically

After any failure the previous build stays in use. A build of the same version with the same flags is made only once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from infill import llama_package, paths, programs, state
from infill.engine import amx
from infill.environment import inherited
from infill.errors import InfillError
from infill.llama_package import PACKAGE, STEP, VERSION
from infill.models import child, library, store
from infill.models.library import Built
from infill.models.machine import Machine
from infill.privacy import network

Backend = Literal["cpu", "cuda", "metal", "vulkan", "hip"]
Wanted = Literal["auto", "cpu", "cuda", "metal", "vulkan", "hip"]

POLL_SECONDS = 0.2
CHECK_SECONDS = 120
FETCH_SECONDS = 600
KEPT_LINES = 400
DEVICES: dict[Backend, str] = {"cuda": "CUDA", "metal": "Metal", "vulkan": "Vulkan", "hip": "ROCm"}
"""The prefix of ggml's device names for each backend."""


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """The build tools that were found; empty where a tool is missing."""

    compiler: str = ""
    amx_compilers: tuple[str, str] | tuple[()] = ()
    """C and C++ compilers whose AMX code works."""
    cmake: str = ""
    """Optional: pip installs cmake and ninja where they are missing."""
    nvcc: str = ""
    vulkan: str = ""
    """The shader compiler of the Vulkan SDK."""
    hip: str = ""
    metal: bool = False
    architectures: tuple[str, ...] = ()
    """Compute capabilities of the NVIDIA GPUs, such as `89`."""
    hip_targets: tuple[str, ...] = ()
    cuda: tuple[int, int] | None = None
    """The newest CUDA version that the NVIDIA driver supports."""


class BuildPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to build, and why."""

    version: str
    backend: Backend
    flags: tuple[str, ...]
    directory: str
    reasons: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """A sentence for each required tool that is missing."""
    built: bool = False
    """It exists already: only the switch is left to do."""
    prebuilt: tuple[str, ...] = ()
    """Indexes that may have a wheel for this machine, the fastest backend first."""


Progress = Callable[[float, str], None]
Cancelled = Callable[[], bool]


class BuildFailed(InfillError):
    """A build failed. Holds the last lines of the log and the next step."""


def find_tools(machine: Machine, environment: Mapping[str, str] = os.environ) -> Tools:
    """Search the PATH and the installation directories of CUDA, ROCm and the Vulkan SDK."""
    path = environment.get("PATH", "")
    cuda = environment.get("CUDA_PATH") or environment.get("CUDA_HOME") or "/usr/local/cuda"
    rocm = environment.get("ROCM_PATH") or "/opt/rocm"

    def find(*names: str, beside: str = "") -> str:
        places = [path, *([str(Path(beside) / "bin")] if beside else [])]
        return next((found for name in names for place in places if (found := programs.find(name, place))), "")

    return Tools(
        compiler=llama_package.compiler(environment),
        amx_compilers=amx.compilers(path) if machine.system == "Linux" and "AMX" in machine.cpu.features else (),
        cmake=find("cmake"),
        nvcc=find("nvcc", beside=cuda),
        vulkan=find("glslc", beside=environment.get("VULKAN_SDK", "")),
        hip=find("hipcc", beside=rocm),
        metal=machine.system == "Darwin" and bool(find("xcrun")),
        architectures=tuple(sorted({card.compute_capability.replace(".", "") for card in machine.nvidia if card.compute_capability})),
        hip_targets=_hip_targets(find("rocm_agent_enumerator", beside=rocm)),
        cuda=llama_package.cuda_of_driver() if machine.nvidia else None,
    )


def plan(wanted: Wanted, tools: Tools, machine: Machine) -> BuildPlan:
    """What to build for this machine. Starts no process; missing tools are listed in the plan."""
    backend, reasons = _choose(wanted, tools, machine)
    more, why = amx.flags(backend, tools.amx_compilers, machine)
    flags = (*_flags(backend, tools, machine), *more)
    digest = hashlib.sha256(repr((VERSION, flags, sys.version_info[:2], machine.architecture)).encode()).hexdigest()[:16]
    directory = library.builds_directory() / digest
    return BuildPlan(
        version=VERSION,
        backend=backend,
        flags=flags,
        directory=str(directory),
        reasons=(*reasons, why) if why else tuple(reasons),
        missing=_missing(backend, tools, machine),
        built=(directory / "llama_cpp").is_dir(),
        prebuilt=_prebuilt(wanted, tools, machine),
    )


def build(
    wanted: BuildPlan, progress: Progress = lambda share, what: None, cancelled: Cancelled = lambda: False, source: str = "", index: str = ""
) -> Built | None:
    """Build, check and switch; None if cancelled. Takes minutes.

    `source`: an archive to build instead of the published one. `index`: the base URL of the prebuilt indexes; a wheel from there that runs on
    this machine is used before anything is compiled.

    Raises BuildFailed; the previous build then stays in use.
    """
    if network.is_offline(False) and not source and not wanted.built:
        raise BuildFailed("infill is offline: nothing is fetched.", "Go online, or build a local archive with --source.")
    with store.locked("llama_cpp.build"), store.writing():
        made = _fetch(wanted, index, progress, cancelled) if index else None
        if cancelled():
            return None
        if made is None:
            made = _record(wanted.backend, wanted.directory, wanted.flags)
            if wanted.missing:
                raise BuildFailed(" ".join(wanted.missing), "Install it, build for the processor (--backend cpu), or use a remote provider.")
            if not wanted.built and not _compile(wanted, progress, cancelled, source):
                return None
            progress(0.97, "checking")
            check(made)
        switch(made)
    progress(1.0, "done")
    return made


def check(made: Built) -> None:
    """Load the build in child processes: it must list its device and generate with the bundled model. Raises BuildFailed."""
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
    """Use this build from the next engine start on."""
    state.write_atomically(library.builds_directory() / "current.json", msgspec.json.format(msgspec.json.encode(made)))


def reset() -> bool:
    """Use the installed package again; False if it is in use already. Builds are kept."""
    try:
        (library.builds_directory() / "current.json").unlink()
    except FileNotFoundError:
        return False
    return True


def log_file() -> Path:
    """Path of the complete output of the last build."""
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
    """The CMake flags for this hardware."""
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


def _prebuilt(wanted: Wanted, tools: Tools, machine: Machine) -> tuple[str, ...]:
    names = llama_package.indexes(machine.system, machine.architecture, cuda=tools.cuda, rocm=bool(tools.hip_targets), vulkan=bool(tools.vulkan))
    return names if wanted == "auto" else tuple(name for name in names if _backend_of(name) == wanted)


def _backend_of(index: str) -> Backend:
    """The backend of an index of prebuilt wheels: `cu124` is CUDA."""
    return {"cpu": "cpu", "metal": "metal", "vulkan": "vulkan", "rocm72": "hip", "hip-radeon": "hip"}.get(index, "cuda")  # type: ignore[return-value]


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
        done = subprocess.run([enumerator], env=inherited(), capture_output=True, text=True, timeout=20, check=False)
        return tuple(sorted({line for line in done.stdout.split() if line.startswith("gfx") and line != "gfx000"}))
    return ()


def pip_command(target: Path, *arguments: str) -> list[str]:
    """The pip command that installs only llama-cpp-python into `target`. Its dependencies are installed with infill."""
    return child.python("-m", "pip", "install", "--no-deps", "--no-cache-dir", "--target", str(target), *arguments)


def _fetch(wanted: BuildPlan, index: str, progress: Progress, cancelled: Cancelled) -> Built | None:
    """The first prebuilt wheel that runs on this machine; None if there is none. The reasons are in the build log."""
    for name in wanted.prebuilt:
        progress(0.0, f"fetching a prebuilt llama.cpp ({name})")
        made = _record(_backend_of(name), f"{wanted.directory}-{name}", (f"prebuilt {name}",))
        try:
            if not _pip(made, llama_package.fetch_arguments(index, name), progress, cancelled, seconds=FETCH_SECONDS):
                return None
            progress(0.97, "checking")
            check(made)
        except BuildFailed as exc:
            shutil.rmtree(made.directory, ignore_errors=True)
            progress(0.0, f"{name}: {exc.message}")
        else:
            return made
    return None


def _compile(wanted: BuildPlan, progress: Progress, cancelled: Cancelled, source: str) -> bool:
    """Build from source; False if cancelled."""
    made = _record(wanted.backend, wanted.directory, wanted.flags)
    folder = paths.private_directory(library.builds_directory())
    flags = (*wanted.flags, *llama_package.compile_flags(folder))
    package = ["--no-binary", PACKAGE, source] if source else llama_package.source_arguments(folder)
    return _pip(made, ["--verbose", *package], progress, cancelled, more={"CMAKE_ARGS": shlex.join(flags), "FORCE_CMAKE": "1"})


def _record(backend: Backend, directory: str, flags: tuple[str, ...]) -> Built:
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return Built(directory=directory, version=VERSION, python=python, backend=backend, flags=flags, built=time.time())


def _pip(
    made: Built, arguments: list[str], progress: Progress, cancelled: Cancelled, more: Mapping[str, str] | None = None, seconds: float = float("inf")
) -> bool:
    """Run pip into a temporary directory, then rename it; False if cancelled. Raises BuildFailed."""
    builds = paths.private_directory(library.builds_directory())
    for left in builds.glob(".building-*"):  # from a build that was killed: this process holds the lock
        shutil.rmtree(left, ignore_errors=True)
    target = builds / f".building-{os.getpid()}"
    try:
        code, last = _run(pip_command(target, *arguments), progress, cancelled, more, seconds)
        if code is None:
            return False
        if code != 0 or not (target / "llama_cpp").is_dir():
            raise BuildFailed("llama.cpp was not built: " + " | ".join(llama_package.reasons(last) or ("pip printed nothing",)), _LOG_HINT)
        shutil.rmtree(made.directory, ignore_errors=True)
        state.replace(target, Path(made.directory))
        return True
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _run(
    command: list[str], progress: Progress, cancelled: Cancelled, more: Mapping[str, str] | None, seconds: float
) -> tuple[int | None, list[str]]:
    """Run a program to its end: its exit code (None if cancelled) and its last lines. Raises BuildFailed after `seconds`."""
    began = time.monotonic()
    last: list[str] = []
    paths.private_directory(log_file().parent)
    with log_file().open("w", encoding="utf-8") as log, child.running(command, words=True, more=more) as pip:
        log.write(f"{shlex.join(command)}\n")
        while not cancelled():
            if time.monotonic() - began > seconds:
                raise BuildFailed(f"pip did not end within {seconds:.0f} s.", _LOG_HINT)
            line = pip.line(POLL_SECONDS)
            if line is None:
                continue
            if not line:
                return pip.code(), last
            text = line.decode("utf-8", "replace")
            log.write(text)
            last = [*last[1 - KEPT_LINES :], text.strip()]
            if found := STEP.search(text):
                elapsed = time.monotonic() - began
                what = f"compiling, step {found[1]} of {found[2]}, {elapsed // 60:.0f}:{elapsed % 60:02.0f}"
                progress(0.95 * int(found[1]) / max(1, int(found[2])), what)
    return None, last


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
