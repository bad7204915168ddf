"""This machine's processor, memory, disks, and GPUs as llama.cpp sees them. Drivers are called only in separate processes, because they crash.

Never raises: failures are listed in `Machine.problems`, and all other facts are returned.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from infill import paths, state
from infill.models import child, library, processor
from infill.models.fit import amount
from infill.models.machine import Cpu, Disk, Gpu, Machine, Nvidia

PROBE_SECONDS = 30
"""Timeout: a driver that is being loaded is slow; one that takes longer hangs."""
PROBE_VALID_SECONDS = 24 * 3600
"""How long "no GPU" is cached, unless the machine restarts or llama.cpp changes."""


class Probed(msgspec.Struct, frozen=True):
    """What the probe process reported about llama.cpp and its devices."""

    llama_cpp: str = ""
    built_for: tuple[str, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    problem: str = ""


class _Remembered(msgspec.Struct, frozen=True):
    key: str
    when: float
    probed: Probed


def machine(fresh: bool = False) -> Machine:
    """All facts; `fresh` calls drivers also where the last result was that there is no GPU."""
    probed = probe(fresh)
    memory = psutil.virtual_memory()
    limit = cgroup_memory_limit()
    return Machine(
        system=_system(),
        architecture=platform.machine().lower(),
        cpu=cpu(),
        memory_total=min(memory.total, limit[0]) if limit else memory.total,
        memory_free=min(memory.available, max(0, limit[0] - limit[1])) if limit else memory.available,
        gpus=probed.gpus,
        nvidia=nvidia() if probed.gpus or fresh else (),
        npus=npus(),
        disks=disks(),
        llama_cpp=probed.llama_cpp,
        built_for=probed.built_for,
        problems=(probed.problem,) if probed.problem else (),
    )


def summary(found: Machine) -> str:
    """A machine in one line, for example: 8 cores (AVX2), 16.0 GB memory (9.1 GB free), NVIDIA RTX 4050 (5.6 of 6.0 GB free)."""
    features = f" ({', '.join(found.cpu.features)})" if found.cpu.features else ""
    parts = [f"{found.cpu.title or found.architecture}, {found.cpu.physical} cores{features}"]
    parts.append(f"{amount(found.memory_total)} memory ({amount(found.memory_free)} free)")
    parts += [f"{card.title or card.name} ({amount(card.free)} of {amount(card.total)} free)" for card in found.gpus]
    unused = [card.title for card in found.nvidia] if not found.gpus else []
    parts += [f"{title} (not used: this llama.cpp was not built for it, see `infill build`)" for title in unused]
    parts += [f"{name} (not used)" for name in found.npus]
    return ", ".join(parts)


def probe(fresh: bool = False) -> Probed:
    """llama.cpp's view, from a process that may crash. A result without GPUs is cached. Starts no process if llama.cpp has no GPU support."""
    if not fresh and library.version() and not library.gpu_backends():
        return Probed(library.version(), library.features() or (*processor.words()[1], "REPACK", "CPU"))
    remembered, key = paths.cache_directory() / "devices.json", _probe_key()
    if not fresh:
        last = state.read(remembered, _Remembered)
        if last and last.key == key and not last.probed.gpus and not last.probed.problem and 0 <= time.time() - last.when < PROBE_VALID_SECONDS:
            return last.probed
    found = _probed(_ask("infill.engine.probe"))
    with contextlib.suppress(OSError):
        remembered.parent.mkdir(parents=True, exist_ok=True)
        remembered.write_bytes(msgspec.json.encode(_Remembered(key, time.time(), found)))
    return found


def nvidia() -> tuple[Nvidia, ...]:
    """NVIDIA's GPUs as its own library (NVML) lists them; empty where it is not installed."""
    answer = _ask("infill.models.nvml")
    with contextlib.suppress(msgspec.ValidationError):
        return tuple(msgspec.convert(answer if isinstance(answer, list) else [], list[Nvidia]))
    return ()


def cpu() -> Cpu:
    """The processor, as far as the operating system describes it."""
    physical, logical = psutil.cpu_count(logical=False) or os.cpu_count() or 1, os.cpu_count() or 1
    title, features = processor.words()
    return Cpu(title=title, physical=physical, performance=_performance_cores(physical), logical=logical, features=features, quota=_allowed(logical))


def npus() -> tuple[str, ...]:
    """Neural processors by name. infill does not use them."""
    if _system() == "Darwin" and platform.machine() == "arm64":
        return ("Apple Neural Engine",)
    names = {"intel_vpu": "Intel NPU", "amdxdna": "AMD XDNA NPU", "qaic": "Qualcomm AI 100"}
    drivers = [(device / "device" / "driver").resolve().name for device in sorted(Path("/sys/class/accel").glob("accel*"))]
    return tuple(names.get(driver, f"accelerator ({driver})") for driver in drivers)


def disks() -> tuple[Disk, ...]:
    """The file system that holds models, then the other relevant ones."""
    places = [next(parent for parent in (paths.data_directory(), *paths.data_directory().parents) if parent.exists()), Path.home()]
    found: dict[int, Disk] = {}
    for place in places:
        with contextlib.suppress(OSError):
            usage = psutil.disk_usage(str(place))
            found.setdefault(place.stat().st_dev, Disk(path=str(place), total=usage.total, free=usage.free))
    return tuple(found.values())


def cgroup_memory_limit(root: Path = Path("/sys/fs/cgroup")) -> tuple[int, int] | None:
    """Bytes that a container may use, and those in use; None without a limit."""
    for limit, used in (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")):
        with contextlib.suppress(OSError, ValueError):
            allowed = int((root / limit).read_text())
            if allowed < 1 << 60:
                return allowed, int((root / used).read_text()) - _reclaimable(root / used)
    return None


def _reclaimable(used: Path) -> int:
    """Bytes of cached file pages: they count as used, but are freed when needed."""
    with contextlib.suppress(OSError):
        found = re.search(r"^(?:total_)?inactive_file (\d+)", (used.parent / "memory.stat").read_text(), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0


def _allowed(logical: int) -> float | None:
    """Cores that this process may use, if fewer than all: a container's CPU quota, or its CPU affinity."""
    limits = [quota] if (quota := _cgroup_quota()) is not None else []
    if sys.platform == "linux" and (bound := len(os.sched_getaffinity(0))) < logical:
        limits.append(float(bound))
    return min(limits, default=None)


def _cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        quota, period = (root / "cpu.max").read_text().split()
        return int(quota) / int(period)
    return None


def _system() -> Any:
    name = platform.system()
    return name if name in ("Linux", "Darwin", "Windows") else "other"


def _probe_key() -> str:
    """A key that changes when the machine restarts or llama-cpp-python changes."""
    built = library.current()
    return f"{library.version()}|{built.directory if built else ''}|{round(psutil.boot_time() / 60)}|{sys.prefix}"


def _ask(module: str) -> Any:
    """The JSON that a separate process prints; a sentence if it crashed, hung or printed no valid result."""
    try:
        done = child.run(module, timeout=PROBE_SECONDS)
        return msgspec.json.decode(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return f"The graphics driver gave no answer within {PROBE_SECONDS} s; the processor is used."
    except (OSError, IndexError, msgspec.MsgspecError, ValueError):
        return "llama.cpp or the graphics driver crashed while it was asked for devices; `infill doctor` says more."


def _probed(answer: Any) -> Probed:
    if not isinstance(answer, dict):
        return Probed(problem=str(answer))
    devices = [device for device in answer.get("devices", []) if device.get("kind") in ("gpu", "igpu")]
    if any(device["kind"] == "gpu" for device in devices):
        devices = [device for device in devices if device["kind"] == "gpu"]  # llama.cpp ignores integrated GPUs if there are others
    system = str(answer.get("system", ""))
    return Probed(
        llama_cpp=str(answer.get("llama_cpp", "")),
        built_for=library.features_of(system),
        gpus=tuple(
            Gpu(
                name=device["name"],
                title=device.get("description", ""),
                total=device["total_bytes"],
                free=device["free_bytes"],
                unified=device["kind"] == "igpu" or (_system() == "Darwin" and platform.machine() == "arm64"),
            )
            for device in devices
        ),
    )


def _performance_cores(physical: int) -> int:
    """The number of fast cores in a processor with two kinds: those with a maximum clock near the highest."""
    if sys.platform == "darwin":
        fast = processor.sysctl("hw.perflevel0.physicalcpu")
        return int(fast) if fast.isdigit() else physical
    clocks: dict[str, int] = {}
    for core in Path("/sys/devices/system/cpu").glob("cpu[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            clocks[(core / "topology" / "core_cpus_list").read_text()] = int((core / "cpufreq" / "cpuinfo_max_freq").read_text())
    fastest = max(clocks.values(), default=0)
    return sum(clock > fastest * 0.8 for clock in clocks.values()) if clocks else physical
