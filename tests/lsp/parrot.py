"""A model file that always generates the same word, so that a test recognizes its answers without chance or rounding.

It has the built-in model's tokenizer, one layer that adds nothing, and an output that follows each letter of the word with the next one.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from infill import paths
from infill.bench.shapes import FIM_KEYS, SEEN_ONLY_KEYS, Inner

WIDTH = 64
GAIN = 20.0
"""The least distance of the next letter's logit from all others."""


def write(file: Path, word: str, *, tensors_a_file: int = 0) -> None:
    """Write a model that generates `word`, whose letters must differ, and a line end. `tensors_a_file` above 0 splits the model over files."""
    inner = Inner(paths.bundled_model())
    said = [*(inner.tokens.index(letter) for letter in word), inner.tokens.index("Ċ")]
    writer = gguf.GGUFWriter(str(file), "qwen2", split_max_tensors=tensors_a_file)
    writer.add_name(f"says {word}")
    writer.add_context_length(inner.field("qwen2.context_length"))
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_file_type(1)
    _copy_tokenizer(writer, inner)
    for name, tensor in _tensors(len(inner.tokens), said).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _copy_tokenizer(writer: gguf.GGUFWriter, inner: Inner) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(list(inner.tokens))
    writer.add_token_types([int(kind) for kind in inner.field("tokenizer.ggml.token_type")])
    writer.add_token_merges(inner.field("tokenizer.ggml.merges"))
    writer.add_add_bos_token(False)
    for key in (*FIM_KEYS, *SEEN_ONLY_KEYS):
        if (value := inner.field(f"tokenizer.ggml.{key}")) is not None:
            writer.add_uint32(f"tokenizer.ggml.{key}", int(value))


def _tensors(tokens: int, said: list[int]) -> dict[str, np.ndarray]:
    """Column 0 stands for all tokens outside the word, columns 1, 2, ... for its tokens; the output maps each column to the next token."""
    embedding, output = np.zeros((tokens, WIDTH), np.float16), np.zeros((tokens, WIDTH), np.float16)
    embedding[:, 0] = 1
    for place, token in enumerate(said):
        embedding[token] = 0
        embedding[token, place + 1] = 1
        output[token, place] = GAIN
    square, ones, zeros = np.zeros((WIDTH, WIDTH), np.float16), np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    block = {f"blk.0.{name}_norm.weight": ones for name in ("attn", "ffn")}
    block |= {f"blk.0.attn_{name}.weight": square for name in ("q", "k", "v", "output")}
    block |= {f"blk.0.attn_{name}.bias": zeros for name in ("q", "k", "v")}
    block |= {f"blk.0.ffn_{name}.weight": square for name in ("gate", "up", "down")}
    return {"token_embd.weight": embedding, "output.weight": output, "output_norm.weight": ones} | block
