"""The processor: its name, its instruction sets by llama.cpp's names, and those that a build needs but it lacks. Only reads."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

SHOWN = ("AVX2", "AVX512", "AVX512_VNNI", "AMX", "NEON", "DOTPROD", "MATMUL_INT8", "SVE")
"""Instruction sets shown to users, in this order."""
FLAGS = {
    "pni": "SSE3", "ssse3": "SSSE3", "avx": "AVX", "avx_vnni": "AVX_VNNI", "avx2": "AVX2", "f16c": "F16C", "fma": "FMA", "bmi2": "BMI2",
    "avx512f": "AVX512", "avx512vbmi": "AVX512_VBMI", "avx512_vnni": "AVX512_VNNI", "avx512_bf16": "AVX512_BF16", "amx_tile": "AMX",
    "amx_int8": "AMX_INT8", "asimd": "NEON", "asimddp": "DOTPROD", "asimdhp": "FP16_VA", "i8mm": "MATMUL_INT8", "sve": "SVE", "sme": "SME",
}  # fmt: skip
"""Flags of Linux's /proc/cpuinfo -> names of llama.cpp's `llama_print_system_info` (`AMX` is ours)."""
DARWIN = {
    "hw.optional.AdvSIMD": "NEON",
    "hw.optional.arm.FEAT_I8MM": "MATMUL_INT8",
    "hw.optional.arm.FEAT_DotProd": "DOTPROD",
    "hw.optional.avx2_0": "AVX2",
    "hw.optional.avx512f": "AVX512",
}
CPUINFO = Path("/proc/cpuinfo")


def words() -> tuple[str, tuple[str, ...]]:
    """The processor's name, and those of its instruction sets that are in `SHOWN`."""
    if sys.platform == "darwin":
        return sysctl("machdep.cpu.brand_string"), tuple(name for key, name in DARWIN.items() if sysctl(key) == "1")
    text = _cpuinfo()
    title = re.search(r"^(?:model name|Hardware|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    known = {FLAGS.get(flag) for flag in _flags(text)}
    return (title[1] if title else platform.processor()), tuple(name for name in SHOWN if name in known)


@functools.cache
def identity() -> str:
    """A key that changes with the processor's model and with the features that a hypervisor or the system enables."""
    title, names = words()
    return hashlib.sha256(repr((platform.machine(), title, names, sorted(_flags(_cpuinfo())))).encode()).hexdigest()[:16]


def missing(needed: Iterable[str]) -> tuple[str, ...]:
    """Those of the given instruction sets that this processor lacks; empty where the system does not list them (Windows, macOS)."""
    flags = _flags(_cpuinfo())
    if not flags:
        return ()
    here, known = {FLAGS.get(flag) for flag in flags}, set(FLAGS.values())
    return tuple(name for name in needed if name in known and name not in here)


def sysctl(key: str) -> str:
    """A value of macOS's `sysctl`; empty where it does not exist."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(["/usr/sbin/sysctl", "-n", key], capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    return ""


def _cpuinfo() -> str:
    with contextlib.suppress(OSError):
        return CPUINFO.read_text(errors="replace")
    return ""


def _flags(text: str) -> set[str]:
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return set(found[1].split()) if found else set()
