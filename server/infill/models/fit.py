"""How a model is loaded on this machine. Pure: everything it needs is handed in, nothing is measured or read here."""

from __future__ import annotations

import msgspec

from infill.settings import Engine


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How llama.cpp loads and runs one model."""

    gpu_layers: int = 0
    """-1: all of them."""
    context: int = 8192
    """Tokens of the unified KV cache, shared by all slots."""
    batch: int = 512
    micro_batch: int = 512
    threads: int = 1
    """For generation."""
    threads_batch: int = 1
    """For evaluation."""
    flash_attention: bool | None = None
    """None: as llama.cpp sees fit."""
    kv_type: str = "f16"
    mmap: bool = True
    mlock: bool = False
    tensor_split: tuple[float, ...] = ()


def default_plan(engine: Engine, physical_cores: int, has_gpu: bool) -> Plan:
    """A sane plan without looking at the file: what the user set is taken, the rest is cautious."""
    threads = engine.threads or max(1, physical_cores - 2)
    return Plan(
        gpu_layers=engine.gpu_layers if engine.gpu_layers is not None else (-1 if has_gpu else 0),
        context=engine.context_size or 8192,
        batch=engine.batch_size or 512,
        micro_batch=min(engine.batch_size or 512, 512),
        threads=threads,
        threads_batch=threads,
        flash_attention=engine.flash_attention,
        kv_type=engine.kv_type or "f16",
    )
