"""A small model file with random weights, made in a second: to test whether kernels for one kind of weights compute correctly, and how fast.

It has token ids but no vocabulary. Every width is a multiple of 256, so that each quantization applies to all of its matrices.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

WIDTH, FEED_FORWARD, LAYERS, HEADS, VOCABULARY, CONTEXT = 512, 2048, 4, 8, 2048, 512
KINDS = {"f16": "f16", "q8_0": "q8_0", "q4_k": "q4_k_s", "q6_k": "q6_k", "q4_0": "q4_0"}
"""Kinds of weights that are tested -> their quantization types."""
F32, F16 = 0, 1
TEXT, UINT32, FLOAT32 = 8, 4, 6
ALIGNMENT = 32
SPREAD = 2.0
"""Standard deviation of the weights times the root of a row's length: large enough that every layer changes the result."""


def write(file: Path) -> None:
    """Write the model in f16. Raises OSError."""
    import numpy as np

    random = np.random.default_rng(0)
    infos, offset = b"", 0
    tensors = _tensors()
    for name, shape in tensors.items():
        kind, size = (F16, 2) if len(shape) > 1 else (F32, 4)
        infos += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        offset += _padded(math.prod(shape) * size)
    entries = [_entry(*each) for each in _facts()]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries) + infos
    with file.open("wb") as stream:
        stream.write(head.ljust(_padded(len(head)), b"\0"))
        for shape in tensors.values():
            data = np.ones(shape, np.float32) if len(shape) == 1 else random.standard_normal(math.prod(shape)) * (SPREAD / math.sqrt(shape[0]))
            content = data.astype(np.float32 if len(shape) == 1 else np.float16).tobytes()
            stream.write(content.ljust(_padded(len(content)), b"\0"))


def _tensors() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors, row length first."""
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (WIDTH, VOCABULARY),
        "output.weight": (WIDTH, VOCABULARY),
        "output_norm.weight": (WIDTH,),
    }
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        found |= {f"{block}attn_norm.weight": (WIDTH,), f"{block}ffn_norm.weight": (WIDTH,)}
        found |= {f"{block}attn_{part}.weight": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
        found |= {f"{block}ffn_{part}.weight": (WIDTH, FEED_FORWARD) for part in ("gate", "up")}
        found[f"{block}ffn_down.weight"] = (FEED_FORWARD, WIDTH)
    return found


def _facts() -> list[tuple[str, int, str | int | float]]:
    return [
        ("general.architecture", TEXT, "llama"),
        ("general.name", TEXT, "miniature"),
        ("general.file_type", UINT32, 1),
        ("llama.block_count", UINT32, LAYERS),
        ("llama.context_length", UINT32, CONTEXT),
        ("llama.embedding_length", UINT32, WIDTH),
        ("llama.feed_forward_length", UINT32, FEED_FORWARD),
        ("llama.attention.head_count", UINT32, HEADS),
        ("llama.attention.head_count_kv", UINT32, HEADS),
        ("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5),
        ("llama.rope.dimension_count", UINT32, WIDTH // HEADS),
        ("llama.vocab_size", UINT32, VOCABULARY),
        ("tokenizer.ggml.model", TEXT, "none"),
    ]


def _entry(key: str, kind: int, value: str | float) -> bytes:
    content = _text(value) if isinstance(value, str) else struct.pack("<I" if kind == UINT32 else "<f", value)
    return _text(key) + struct.pack("<I", kind) + content


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
