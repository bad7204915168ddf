"""A process that lists GPUs with NVIDIA's own library (NVML): `python -m infill.models.nvml` prints JSON, [] where NVML is not installed.

It also lists GPUs that llama.cpp was not built for; `infill build` compiles for them. Never imported: the library may crash its process.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from typing import Any

LIBRARIES = ("nvml.dll", "C:/Windows/System32/nvml.dll") if sys.platform == "win32" else ("libnvidia-ml.so.1", "libnvidia-ml.so")
MEMORY_CLOCK = 2
TEXT = 96
"""Buffer size for a name, in bytes."""


class Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def cards() -> list[dict[str, Any]]:
    """All GPUs; empty without the library or a working driver."""
    library = _library()
    if library is None or library.nvmlInit_v2() != 0:
        return []
    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return []
    driver = _text(lambda buffer: library.nvmlSystemGetDriverVersion(buffer, TEXT))
    return [card for index in range(count.value) if (card := _card(library, index, driver))]


def _library() -> Any:
    for name in LIBRARIES:
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    return None


def _card(library: Any, index: int, driver: str) -> dict[str, Any] | None:
    handle, memory, major, minor = ctypes.c_void_p(), Memory(), ctypes.c_int(), ctypes.c_int()
    if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) != 0 or library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) != 0:
        return None
    clock, width = ctypes.c_uint(), ctypes.c_uint()
    told = library.nvmlDeviceGetMaxClockInfo(handle, MEMORY_CLOCK, ctypes.byref(clock)) == 0
    told = told and library.nvmlDeviceGetMemoryBusWidth(handle, ctypes.byref(width)) == 0
    known = library.nvmlDeviceGetCudaComputeCapability(handle, ctypes.byref(major), ctypes.byref(minor)) == 0
    return {
        "title": _text(lambda buffer: library.nvmlDeviceGetName(handle, buffer, TEXT)),
        "total": memory.total,
        "free": memory.free,
        "driver": driver,
        # two transfers per clock; the bus width is in bits
        "bytes_per_second": clock.value * 1e6 * 2 * width.value / 8 if told else 0.0,
        "compute_capability": f"{major.value}.{minor.value}" if known else "",
    }


def _text(fill: Any) -> str:
    buffer = ctypes.create_string_buffer(TEXT)
    return buffer.value.decode("utf-8", "replace") if fill(buffer) == 0 else ""


if __name__ == "__main__":
    os.write(1, json.dumps(cards()).encode() + b"\n")
