"""The bundled model as a Hugging Face folder: read back by other code than wrote it, and compared with llama.cpp."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import jinja2
import numpy as np
import pytest

from infill import paths

safetensors = pytest.importorskip("safetensors.numpy", reason="The package safetensors is not installed (extra test).")
tokenizers = pytest.importorskip("tokenizers", reason="The package tokenizers is not installed (extra test).")
PROMPT = "<|fim_suffix|>\n\n\ndef subtract(a, b):\n    return a - b\n<|fim_prefix|>def add(a, b):\n    return<|fim_middle|>"
TEXTS = [
    "",
    "def add(a, b):\n    return a + b\n",
    "\tif x:\r\n\t\tpass   \n\n\n",
    "it's WE'LL 'Re they'd 1234567890 3.14e-10",
    "größe = 'naïve café'; e\u0301 = '\u00e9'",
    "名前 = '日本語'  # 🎈👩\u200d👩\u200d👧 \ufeff",
    "الكود = 'עברית'",
    "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>",
    "a <|fim_prefix|> b<|file_sep|>\n<|endoftext|>",
    "<| fim_prefix|> <|fim_nothing|> <|im_start|>user\nhi<|im_end|>\n",
    "self.__init__(*args, **kwargs)!=~^&%$#@",
    " " * 40 + "x" + "\n" * 9,
]


def exporter() -> Any:
    """The module in server/training, which is no package."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "server" / "training"))
    try:
        return importlib.import_module("hugging_face")
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("exported")
    exporter().export(paths.bundled_model(), place)
    return place


@pytest.fixture(scope="module")
def llama() -> Iterator[Any]:
    import llama_cpp

    model = llama_cpp.Llama(str(paths.bundled_model()), n_ctx=256, n_threads=1, n_threads_batch=1, logits_all=True, verbose=False)
    yield model
    model.close()


def read(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / name).read_text("utf-8"))


class HuggingFaceQwen2:
    """Qwen2ForCausalLM as Transformers defines it, in numpy, from nothing but the folder."""

    def __init__(self, folder: Path) -> None:
        self.config = read(folder, "config.json")
        self.weights = {name: tensor.astype(np.float32) for name, tensor in safetensors.load_file(folder / "model.safetensors").items()}

    def logits(self, ids: list[int]) -> Any:
        x = self.weights["model.embed_tokens.weight"][ids]
        for layer in range(self.config["num_hidden_layers"]):
            x = x + self._attention(f"model.layers.{layer}", self._norm(x, f"model.layers.{layer}.input_layernorm"))
            y = self._norm(x, f"model.layers.{layer}.post_attention_layernorm")
            gate, up = (self._linear(y, f"model.layers.{layer}.mlp.{name}_proj") for name in ("gate", "up"))
            x = x + self._linear(gate / (1 + np.exp(-gate)) * up, f"model.layers.{layer}.mlp.down_proj")
        return self._norm(x, "model.norm") @ self.weights["model.embed_tokens.weight"].T

    def _norm(self, x: Any, name: str) -> Any:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + self.config["rms_norm_eps"]) * self.weights[f"{name}.weight"]

    def _linear(self, x: Any, name: str) -> Any:
        return x @ self.weights[f"{name}.weight"].T + self.weights.get(f"{name}.bias", 0)

    def _attention(self, layer: str, x: Any) -> Any:
        heads, shared = self.config["num_attention_heads"], self.config["num_key_value_heads"]
        size = self.config["hidden_size"] // heads
        q, k, v = (self._linear(x, f"{layer}.self_attn.{name}_proj").reshape(len(x), -1, size).swapaxes(0, 1) for name in "qkv")
        q, k = self._rotate(q), self._rotate(k)
        k, v = (part.repeat(heads // shared, axis=0) for part in (k, v))
        scores = q @ k.swapaxes(1, 2) / np.sqrt(size) + np.triu(np.full((len(x), len(x)), -np.inf), 1)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (weights / weights.sum(-1, keepdims=True)) @ v
        return self._linear(mixed.swapaxes(0, 1).reshape(len(x), -1), f"{layer}.self_attn.o_proj")

    def _rotate(self, x: Any) -> Any:
        size = x.shape[-1]
        angles = np.arange(x.shape[1])[:, None] * self.config["rope_theta"] ** (-np.arange(0, size, 2) / size)
        cos, sin = (np.concatenate((part, part), -1) for part in (np.cos(angles), np.sin(angles)))
        return x * cos + np.concatenate((-x[..., size // 2 :], x[..., : size // 2]), -1) * sin


@pytest.mark.parametrize("text", TEXTS)
def test_the_exported_tokenizer_gives_the_ids_of_llama_cpp(folder: Path, llama: Any, text: str) -> None:
    ours = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    assert ours == llama.tokenize(text.encode(), add_bos=False, special=True)


def test_the_exported_tokenizer_agrees_with_llama_cpp_on_this_projects_own_source(folder: Path, llama: Any) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for file in sorted((Path(__file__).parents[2] / "server" / "infill" / "completion").glob("*.py")):
        text = file.read_text("utf-8")
        assert tokenizer.encode(text, add_special_tokens=False).ids == llama.tokenize(text.encode(), add_bos=False, special=True), file.name


def test_the_exported_weights_give_the_logits_of_llama_cpp(folder: Path, llama: Any) -> None:
    ids = llama.tokenize(PROMPT.encode(), add_bos=False, special=True)
    llama.reset()
    llama.eval(ids)
    theirs, ours = np.array(llama.scores[: len(ids)]), HuggingFaceQwen2(folder).logits(ids)
    # llama.cpp rounds activations to 16 bits before it multiplies; logits here span about 30
    assert np.abs(ours - theirs).max() < 0.3
    assert np.abs(ours - theirs).mean() < 0.03


def test_the_exported_model_writes_the_greedy_text_of_llama_cpp(folder: Path, llama: Any) -> None:
    ids, model = llama.tokenize(PROMPT.encode(), add_bos=False, special=True), HuggingFaceQwen2(folder)
    ours: list[int] = []
    for _ in range(8):
        ours.append(int(model.logits(ids + ours)[-1].argmax()))
    llama.reset()
    theirs = [token for token, _ in zip(llama.generate(ids, temp=0.0, repeat_penalty=1.0), range(8), strict=False)]
    assert ours == theirs


def test_the_exported_chat_template_renders_a_conversation(folder: Path) -> None:
    template = read(folder, "tokenizer_config.json")["chat_template"]
    said = jinja2.Environment(autoescape=False).from_string(template).render(messages=[{"role": "user", "content": "hi"}], add_generation_prompt=True)
    assert said == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_the_exported_end_tokens_are_those_of_llama_cpp(folder: Path, llama: Any) -> None:
    import llama_cpp

    vocabulary = llama_cpp.llama_model_get_vocab(llama.model)
    theirs = {token for token in range(llama.n_vocab()) if llama_cpp.llama_vocab_is_eog(vocabulary, token)}
    assert set(read(folder, "generation_config.json")["eos_token_id"]) == theirs


def rewritten(tmp_path: Path, architecture: str, kind: gguf.GGMLQuantizationType) -> Path:
    """The bundled file's vocabulary with another architecture, and one tensor of a type."""
    reader, file = gguf.GGUFReader(str(paths.bundled_model())), tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(str(file), architecture)
    for name in ("tokens", "merges"):
        writer.add_array(f"tokenizer.ggml.{name}", reader.fields[f"tokenizer.ggml.{name}"].contents())
    writer.add_tensor("token_embd.weight", gguf.quants.quantize(np.zeros((32, 256), np.float32), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.mark.parametrize(("architecture", "kind", "said"), [("llama", "F16", "only qwen2"), ("qwen2", "Q8_0", "is quantized")])
def test_a_file_that_cannot_be_exported_is_refused_in_a_sentence(tmp_path: Path, architecture: str, kind: str, said: str) -> None:
    file = rewritten(tmp_path, architecture, gguf.GGMLQuantizationType[kind])
    with pytest.raises(SystemExit, match=said):
        exporter().export(file, tmp_path / "out")
