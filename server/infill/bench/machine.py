"""The machine and its load during a measurement; results cannot be compared without them. Reads only; starts nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path

import msgspec
import psutil

from infill import __version__

BUSY = 0.3
"""Minimum load average at which other programs are assumed to be running."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine at the time of the measurement."""

    cpu: str
    physical_cores: int
    logical_cores: int
    memory_bytes: int
    system: str
    python: str
    llama_cpp_python: str
    infill: str
    load: float
    """Load average of the last minute."""

    @property
    def sentence(self) -> str:
        memory = f"{self.memory_bytes / 2**30:.0f} GiB"
        doubt = ": other programs used the processor, the figures are less reliable" if self.load > BUSY else ""
        return (
            f"{self.cpu}, {self.physical_cores} cores, {memory}; {self.system}; Python {self.python}; llama-cpp-python {self.llama_cpp_python}; "
            f"infill {self.infill}; load {self.load:.2f} at the start{doubt}"
        )


def machine() -> Machine:
    return Machine(
        cpu=_cpu(),
        physical_cores=psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        logical_cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        llama_cpp_python=importlib.metadata.version("llama-cpp-python"),
        infill=__version__,
        load=psutil.getloadavg()[0],
    )


def _cpu() -> str:
    try:
        content = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"model name\s*:\s*(.+)", content)
    flags = re.search(r"flags\s*:\s*(.+)", content)
    widest = next((flag for flag in ("avx512f", "avx2", "avx") if flags and flag in flags[1].split()), "")
    return f"{found[1].strip() if found else platform.machine()}{f' ({widest})' if widest else ''}"
