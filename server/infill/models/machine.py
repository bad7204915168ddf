"""What a machine has, as values. Nothing is measured here: `hardware` does that."""

from __future__ import annotations

from typing import Literal

import msgspec


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A device that llama.cpp can put layers on."""

    name: str
    """As ggml calls it: `CUDA0`, `Metal`, `Vulkan0`."""
    title: str = ""
    total: int
    free: int
    unified: bool = False
    """Its memory is the machine's own."""


class Nvidia(msgspec.Struct, frozen=True, kw_only=True):
    """A card as NVIDIA's own library sees it, whether or not llama.cpp was built for it."""

    title: str
    total: int
    free: int
    driver: str = ""
    compute_capability: str = ""
    """Such as `8.9`."""
    bytes_per_second: float = 0.0
    """Nominal speed of its memory; 0: not told."""


class Cpu(msgspec.Struct, frozen=True, kw_only=True):
    """The processor."""

    title: str = ""
    physical: int = 1
    performance: int = 1
    """Of the physical cores, the fast ones."""
    logical: int = 1
    features: tuple[str, ...] = ()
    """`AVX2`, `AVX512`, `NEON`, `AMX`, ... as the processor says."""
    quota: float | None = None
    """Cores' worth of time that a container or the process's affinity allows; None: all."""

    @property
    def useful(self) -> int:
        """Cores worth giving a thread each."""
        cores = min(self.performance, self.physical)
        return max(1, min(cores, int(self.quota)) if self.quota else cores)


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A file system."""

    path: str
    total: int
    free: int


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """All that choosing and fitting models depends on."""

    system: Literal["Linux", "Darwin", "Windows", "other"] = "Linux"
    architecture: str = "x86_64"
    cpu: Cpu = Cpu()
    memory_total: int
    memory_free: int
    """What programs can have without others being pushed out."""
    gpus: tuple[Gpu, ...] = ()
    nvidia: tuple[Nvidia, ...] = ()
    npus: tuple[str, ...] = ()
    """Named, not used: llama.cpp as built here cannot."""
    disks: tuple[Disk, ...] = ()
    llama_cpp: str = ""
    """Its version; empty where it cannot be used."""
    built_for: tuple[str, ...] = ()
    """What llama.cpp's build can use: `AVX2`, `CUDA`, `REPACK`, ..."""
    problems: tuple[str, ...] = ()
    """What could not be found out, in sentences."""
