"""Reads and writes vocabulary and weights between PyTorch and GGUF, with llama.cpp's names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer

from network import Qwen2
from vocabulary import SPECIAL_TOKENS

FIM_KEYS = {"pre": "fim_prefix", "suf": "fim_suffix", "mid": "fim_middle", "pad": "fim_pad", "rep": "repo_name", "sep": "file_sep"}
NAMES = {
    "n1.weight": "attn_norm.weight", "n2.weight": "ffn_norm.weight", "q.weight": "attn_q.weight", "q.bias": "attn_q.bias",
    "k.weight": "attn_k.weight", "k.bias": "attn_k.bias", "v.weight": "attn_v.weight", "v.bias": "attn_v.bias",
    "o.weight": "attn_output.weight", "gate.weight": "ffn_gate.weight", "up.weight": "ffn_up.weight", "down.weight": "ffn_down.weight",
}  # fmt: skip
"""Our names -> llama.cpp's names, within a block."""


def read_weights(path: Path, layers: int) -> dict[str, torch.Tensor]:
    """The state dict of a Qwen2 of the same shape, read from an unquantized file."""
    tensors = {tensor.name: torch.from_numpy(np.array(tensor.data, dtype=np.float32)) for tensor in gguf.GGUFReader(str(path)).tensors}
    state = {"emb.weight": tensors["token_embd.weight"], "norm.weight": tensors["output_norm.weight"]}
    for layer in range(layers):
        state |= {f"blocks.{layer}.{ours}": tensors[f"blk.{layer}.{theirs}"] for ours, theirs in NAMES.items()}
    return state


def write(model: Qwen2, tokenizer: Tokenizer, path: Path, name: str, context: int) -> None:
    """Write the model as 16-bit GGUF, with all metadata that llama.cpp and `infill` need."""
    writer = gguf.GGUFWriter(str(path), "qwen2")
    _write_facts(writer, model.cfg, name, context)
    _write_tokenizer(writer, tokenizer)
    state = {key: value.detach().float().cpu().numpy() for key, value in model.state_dict().items()}
    tensors = {"token_embd.weight": state["emb.weight"], "output_norm.weight": state["norm.weight"]}
    for layer in range(int(model.cfg["layers"])):
        tensors |= {f"blk.{layer}.{theirs}": state[f"blocks.{layer}.{ours}"] for ours, theirs in NAMES.items()}
    for key, value in tensors.items():
        writer.add_tensor(key, value.astype(np.float32 if value.ndim == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_facts(writer: Any, cfg: dict[str, Any], name: str, context: int) -> None:
    writer.add_name(name)
    writer.add_description("Small fill-in-the-middle model trained on permissively licensed Python source")
    writer.add_string("infill.fim_order", "spm")
    writer.add_context_length(context)
    writer.add_embedding_length(cfg["d"])
    writer.add_block_count(cfg["layers"])
    writer.add_feed_forward_length(cfg["ff"])
    writer.add_head_count(cfg["heads"])
    writer.add_head_count_kv(cfg["kv"])
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(cfg["base"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _write_tokenizer(writer: Any, tokenizer: Tokenizer) -> None:
    numbers = tokenizer.get_vocab()
    tokens = sorted(numbers, key=numbers.__getitem__)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in SPECIAL_TOKENS else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(numbers["<|endoftext|>"])
    writer.add_eos_token_id(numbers["<|endoftext|>"])
    writer.add_pad_token_id(numbers["<|fim_pad|>"])
    writer.add_add_bos_token(False)
    for key, name in FIM_KEYS.items():
        writer.add_uint32(f"tokenizer.ggml.fim_{key}_token_id", numbers[f"<|{name}|>"])
