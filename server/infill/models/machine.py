"""The hardware of a machine, as values; `hardware` measures them."""

from __future__ import annotations

from typing import Literal

import msgspec


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A device that llama.cpp can put layers on."""

    name: str
    """ggml's name: `CUDA0`, `Metal`, `Vulkan0`."""
    title: str = ""
    total: int
    free: int
    unified: bool = False
    """It shares the main memory."""


class Nvidia(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU as NVIDIA's own library reports it, whether or not llama.cpp was built for it."""

    title: str
    total: int
    free: int
    driver: str = ""
    compute_capability: str = ""
    """Such as `8.9`."""
    bytes_per_second: float = 0.0
    """Nominal memory bandwidth; 0: unknown."""


class Cpu(msgspec.Struct, frozen=True, kw_only=True):
    """The processor."""

    title: str = ""
    physical: int = 1
    performance: int = 1
    """Number of fast physical cores."""
    logical: int = 1
    features: tuple[str, ...] = ()
    """Instruction sets of the processor: `AVX2`, `AVX512`, `NEON`, `AMX`, ..."""
    quota: float | None = None
    """Cores that a container or the process's affinity allows; None: all."""

    @property
    def useful(self) -> int:
        """Number of cores that get a thread each."""
        cores = min(self.performance, self.physical)
        return max(1, min(cores, int(self.quota)) if self.quota else cores)


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A file system."""

    path: str
    total: int
    free: int


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The hardware facts for choosing and fitting models."""

    system: Literal["Linux", "Darwin", "Windows", "other"] = "Linux"
    architecture: str = "x86_64"
    cpu: Cpu = Cpu()
    memory_total: int
    memory_free: int
    """Bytes available without swapping out other programs."""
    gpus: tuple[Gpu, ...] = ()
    nvidia: tuple[Nvidia, ...] = ()
    npus: tuple[str, ...] = ()
    """Names only: llama.cpp does not use them."""
    disks: tuple[Disk, ...] = ()
    llama_cpp: str = ""
    """Its version; empty where it does not run."""
    built_for: tuple[str, ...] = ()
    """Features of the llama.cpp build: `AVX2`, `CUDA`, `REPACK`, ..."""
    problems: tuple[str, ...] = ()
    """Facts that could not be determined, as sentences."""
