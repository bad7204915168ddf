"""Writes a GGUF of the bundled model's kind as a Hugging Face folder, which vLLM, SGLang and Transformers load: `python hugging_face.py OUT`.

The folder has config.json, model.safetensors, tokenizer.json, tokenizer_config.json and generation_config.json. Weights keep their values, and
matrices their 16 bits. Token ids are those of the GGUF. Only unquantized Qwen2 files with tied embeddings are accepted. PyTorch is not needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file

import vocabulary
from infill import paths

NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
"""llama.cpp's names -> Hugging Face's names, within a layer. Both rotate halves of a head (NeoX), so rows keep their order."""
PLAIN = (gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.F32)
END = "<|endoftext|>"
ENDS = (END, "<|im_end|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>")
"""The end-of-generation tokens of llama.cpp for a file with this vocabulary."""
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""Qwen2's ChatML template: servers require one, although the bundled model does not follow instructions."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--model", type=Path, default=paths.bundled_model(), help="GGUF to read; the bundled model where none is given")
    options = parser.parse_args()
    export(options.model, options.out)
    print(f"Wrote {', '.join(sorted(file.name for file in options.out.iterdir()))} to {options.out}.")


def export(model: Path, folder: Path) -> None:
    """Write `model` into `folder`. Raises SystemExit if the file has another architecture or is quantized."""
    reader = gguf.GGUFReader(str(model))
    facts = {name: field.contents() for name, field in reader.fields.items()}
    if facts["general.architecture"] != "qwen2":
        raise SystemExit(f"{model} has the architecture {facts['general.architecture']}; only qwen2 can be exported.")
    tokenizer = vocabulary.read_tokenizer(model)
    numbers = tokenizer.get_vocab()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_weights(reader, model), folder / "model.safetensors", metadata={"format": "pt"})
    _write(folder / "config.json", _config(facts, numbers))
    _write(folder / "generation_config.json", _generation(numbers))
    _write(folder / "tokenizer_config.json", _tokenizer_config(facts))
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _weights(reader: Any, model: Path) -> dict[str, Any]:
    """All tensors under Hugging Face's names."""
    found = {}
    for tensor in reader.tensors:
        if tensor.tensor_type not in PLAIN:
            raise SystemExit(f"{model} is quantized ({tensor.name}: {tensor.tensor_type.name}); only 16-bit and 32-bit files can be exported.")
        found[_name(tensor.name)] = np.array(tensor.data)
    return found


def _name(name: str) -> str:
    """`blk.3.attn_q.bias` -> `model.layers.3.self_attn.q_proj.bias`. Raises SystemExit for a tensor that Qwen2 with tied embeddings does not have."""
    match name.split("."):
        case ["token_embd", "weight"]:
            return "model.embed_tokens.weight"
        case ["output_norm", "weight"]:
            return "model.norm.weight"
        case ["blk", layer, part, kind] if part in NAMES:
            return f"model.layers.{layer}.{NAMES[part]}.{kind}"
    raise SystemExit(f"The tensor {name} has no counterpart in a Qwen2 model with tied embeddings.")


def _config(facts: dict[str, Any], numbers: dict[str, int]) -> dict[str, Any]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "dtype": "float16",
        "vocab_size": len(numbers),
        "hidden_size": facts["qwen2.embedding_length"],
        "intermediate_size": facts["qwen2.feed_forward_length"],
        "num_hidden_layers": facts["qwen2.block_count"],
        "num_attention_heads": facts["qwen2.attention.head_count"],
        "num_key_value_heads": facts["qwen2.attention.head_count_kv"],
        "max_position_embeddings": facts["qwen2.context_length"],
        "rms_norm_eps": round(facts["qwen2.attention.layer_norm_rms_epsilon"], 9),
        "rope_theta": facts["qwen2.rope.freq_base"],
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "bos_token_id": numbers[END],
        "eos_token_id": numbers[END],
    }


def _generation(numbers: dict[str, int]) -> dict[str, Any]:
    return {
        "bos_token_id": numbers[END],
        "eos_token_id": [numbers[token] for token in ENDS],
        "pad_token_id": numbers["<|fim_pad|>"],
        "do_sample": False,
    }


def _tokenizer_config(facts: dict[str, Any]) -> dict[str, Any]:
    # The class for any tokenizer.json. Transformers 5 still uses Qwen2's own for this architecture, which composes characters first (NFC).
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": facts["qwen2.context_length"],
        "eos_token": END,
        "pad_token": "<|fim_pad|>",
        "additional_special_tokens": [token for token in vocabulary.SPECIAL_TOKENS if token not in {END, "<|fim_pad|>"}],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }


if __name__ == "__main__":
    main()
