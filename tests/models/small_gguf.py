"""GGUF files made on the fly: right headers, zeros for weights. For reading and storing, not for running."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Any

from infill import paths

F16 = 1


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key: str, value: Any) -> bytes:
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(each) for each in value)
    if isinstance(value, bool):
        return text(key) + struct.pack("<I?", 7, value)
    return text(key) + struct.pack("<II", 4, value)


def small_gguf(**shape: Any) -> bytes:
    """A model of that shape, whole."""
    head, size = head_and_size(**shape)
    pattern = bytes(range(256)) * (size // 256 + 1)
    return head + pattern[:size]


def head_and_size(
    layers: int = 2, width: int = 64, vocabulary: int = 64, fim: bool = True, chat: bool = False, filler: int = 0, tensor_type: int = F16, **more: Any
) -> tuple[bytes, int]:
    """All that stands before the weights, and how many bytes those take; `filler` bytes more, so that a download takes a while."""
    words = [f"w{number}" for number in range(vocabulary)]
    if fim:
        words[:3] = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]
    values: dict[str, Any] = {
        "general.architecture": "qwen2",
        "general.name": "small",
        "general.file_type": 1,
        "qwen2.block_count": layers,
        "qwen2.embedding_length": width,
        "qwen2.feed_forward_length": width * 4,
        "qwen2.attention.head_count": 4,
        "qwen2.attention.head_count_kv": 2,
        "qwen2.context_length": 1024,
        "tokenizer.ggml.tokens": words,
        **({"tokenizer.chat_template": "{{ messages }}"} if chat else {}),
        **more,
    }
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (width, vocabulary), "output_norm.weight": (width,)}
    for layer in range(layers):
        shapes[f"blk.{layer}.attn_q.weight"] = (width, width)
        shapes[f"blk.{layer}.ffn_up.weight"] = (width, width * 4)
    if filler:
        shapes["blk.0.ffn_down.weight"] = (filler // 2,)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(values)) + b"".join(entry(key, value) for key, value in values.items())
    offset, infos, sizes = 0, b"", 0
    for name, shape in shapes.items():
        size = 2
        for each in shape:
            size *= each
        infos += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, tensor_type, offset)
        offset += -(-size // 32) * 32
        sizes = offset
    body = header + infos
    body += bytes(-len(body) % 32)
    return body, sizes


MODEL = small_gguf(filler=1_000_000)
"""What the hub of the tests has."""


def write_catalogue(*entries: str) -> Path:
    """The user's own catalogue."""
    file = paths.config_directory() / "models.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(f"[[model]]\n{entry}\n" for entry in entries))
    return file


def put(file: Path, content: bytes = MODEL, *, seconds_ago: float = 60) -> Path:
    """A file that somebody finished writing so long ago."""
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    then = time.time() - seconds_ago
    os.utime(file, (then, then))
    return file
