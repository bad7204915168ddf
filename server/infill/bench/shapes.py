"""Model files with the exact tensor shapes of Qwen2.5-Coder's sizes, generated locally in a minute without a download.

Speed, memory, load time and offload equal those of the real model of that size and quantization: they do not depend on the weights' values.
The values are the bundled model's, placed in one corner of the larger shape so that they compute the same results. The file costs as much
as Qwen's and gives the bundled model's answers, so that filters, caches and acceptance get code instead of noise. It never ends a text by itself,
so that both sides generate as many tokens as requested. This module only writes the file and runs no model.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from infill import paths
from infill.errors import InfillError


class Shape(msgspec.Struct, frozen=True):
    """The hyper-parameters that determine a model's cost."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    feed_forward: int
    tied: bool
    """Input and output share one embedding."""

    @property
    def head(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


SHAPES = {
    "0.5b": Shape(24, 896, 14, 2, 4864, True),
    "1.5b": Shape(28, 1536, 12, 2, 8960, True),
    "3b": Shape(36, 2048, 16, 2, 11008, True),
    "7b": Shape(28, 3584, 28, 4, 18944, False),
}
"""From the Qwen2.5 technical report and the models' config files."""
VOCABULARY = 151_936
CONTEXT = 32_768
FIM_KEYS = ("fim_pre_token_id", "fim_suf_token_id", "fim_mid_token_id", "fim_rep_token_id", "fim_sep_token_id")
SEEN_ONLY_KEYS = ("bos_token_id", "eos_token_id", "padding_token_id", "fim_pad_token_id")
LEVEL = 0.02
"""Value of the guard column for allowed tokens; disallowed tokens have its negative."""
GUARD = 30 * 100 / (2 * LEVEL * LEVEL)
"""Gain of that column at the output: at least 30 nats between the two, as long as the residual stream's root mean square is below 100."""


def shape_file(size: str, quantization: str = "q4_k_m", say: Callable[[str], None] = lambda _: None) -> Path:
    """The cached file of that shape; generated if missing. Raises InfillError if gguf or numpy is missing or the size is unknown."""
    if size not in SHAPES:
        raise InfillError(f"There is no shape {size!r}.", f"Known: {', '.join(SHAPES)}.")
    folder = paths.cache_directory() / "bench" / "shapes"
    file = folder / f"{size}-{quantization}.gguf"
    if not file.is_file():
        make(size, quantization, file, say)
    return file


def make(size: str, quantization: str, file: Path, say: Callable[[str], None] = lambda _: None) -> None:
    """Write the file of a shape atomically."""
    from infill.models.quantize import quantize

    file.parent.mkdir(parents=True, exist_ok=True)
    raw, done = (file.with_name(f".{file.stem}-{os.getpid()}-{step}.gguf") for step in ("f16", "quantized"))
    try:
        say(f"Writing the shape of {size} in f16 ...")
        _write(SHAPES[size], size, raw, paths.bundled_model())
        if quantization == "f16":
            os.replace(raw, file)
            return
        say(f"Quantizing it to {quantization} ...")
        quantize(raw, done, quantization)
        os.replace(done, file)
    finally:
        raw.unlink(missing_ok=True)
        done.unlink(missing_ok=True)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise InfillError(f"Making model files needs the Python package {name}.", f"`{sys.executable} -m pip install {name}` brings it.") from exc


class Inner:
    """The small model whose answers the large file gives: its tensors by name, and its shape."""

    def __init__(self, file: Path) -> None:
        gguf, self.np = _library("gguf"), _library("numpy")
        self.reader = gguf.GGUFReader(file)
        self.tensors = {tensor.name: tensor for tensor in self.reader.tensors}
        self._dequantize = gguf.quants.dequantize
        get = self.field
        self.shape = Shape(
            int(get("qwen2.block_count")),
            int(get("qwen2.embedding_length")),
            int(get("qwen2.attention.head_count")),
            int(get("qwen2.attention.head_count_kv")),
            int(get("qwen2.feed_forward_length")),
            "output.weight" not in self.tensors,
        )
        self.epsilon = float(get("qwen2.attention.layer_norm_rms_epsilon"))
        self.rope = float(get("qwen2.rope.freq_base", 10_000.0))
        self.tokens: list[str] = get("tokenizer.ggml.tokens")

    def field(self, key: str, default: Any = None) -> Any:
        found = self.reader.get_field(key)
        return default if found is None else found.contents()

    def array(self, name: str) -> Any:
        """A tensor as float32, rows first; None if the small model does not have it."""
        tensor = self.tensors.get(name)
        return None if tensor is None else self._dequantize(tensor.data, tensor.tensor_type).astype(self.np.float32)

    def fits(self, outer: Shape) -> bool:
        """Whether every part of the small model fits into the larger shape."""
        mine = self.shape
        return (
            mine.width < outer.width
            and mine.layers <= outer.layers
            and mine.feed_forward <= outer.feed_forward
            and mine.kv_heads <= outer.kv_heads
            and mine.heads // mine.kv_heads <= outer.heads // outer.kv_heads
            and outer.head % mine.head == 0
        )

    def silent(self) -> set[int]:
        """Tokens that must never be generated: end of text and similar ones. Tokens that structure a prompt are allowed."""
        kept = {int(self.field(f"tokenizer.ggml.{key}", -1)) for key in FIM_KEYS}
        kinds = self.field("tokenizer.ggml.token_type")
        return {index for index, kind in enumerate(kinds) if kind != 1 and index not in kept}


class Layout:
    """The positions of the small model's numbers in the large tensors.

    The first columns of the residual stream are the small model's, the next one is the guard column, the rest stays zero. Root mean squares then
    cover more columns; the norms' weights and epsilon compensate for that. A wider head keeps the rotation of each pair: the pairs are spread out.
    """

    def __init__(self, inner: Inner, outer: Shape) -> None:
        self.np, self.inner, self.outer, self.mine = inner.np, inner, outer, inner.shape
        self.share = self.mine.width / outer.width
        random = self.np.random.default_rng(0)
        self._noise = (random.standard_normal(4 << 20) * 0.02).astype(self.np.float16)

    def noise(self, rows: int, columns: int) -> Any:
        """Random weights where values do not matter, because their results are multiplied by zero."""
        return self.np.resize(self._noise, (rows, columns))

    def zeros(self, rows: int, columns: int) -> Any:
        return self.np.zeros((rows, columns), self.np.float16)

    def rows_of_head(self, head: int, kv: bool) -> Any:
        """The large tensor's rows for the dimensions of one small head, in order."""
        mine, outer = self.mine, self.outer
        spread = outer.head // mine.head
        pairs = self.np.arange(mine.head // 2) * spread
        if kv:
            place = head
        else:
            group, within = divmod(head, mine.heads // mine.kv_heads)
            place = group * (outer.heads // outer.kv_heads) + within
        return place * outer.head + self.np.concatenate([pairs, pairs + outer.head // 2])

    def rows(self, kv: bool) -> Any:
        heads = self.mine.kv_heads if kv else self.mine.heads
        return self.np.concatenate([self.rows_of_head(head, kv) for head in range(heads)])

    def embedding(self) -> Any:
        whole = self.zeros(VOCABULARY, self.outer.width)
        small = self.inner.array("token_embd.weight")
        whole[: small.shape[0], : self.mine.width] = small
        return self.guard(whole)

    def guard(self, whole: Any) -> Any:
        """Mark the allowed tokens in the guard column."""
        column = self.mine.width
        whole[:, column] = -LEVEL
        whole[: len(self.inner.tokens), column] = LEVEL
        whole[list(self.inner.silent()), column] = -LEVEL
        return whole

    def norm(self, name: str, guard: float = 0.0) -> Any:
        whole = self.np.zeros(self.outer.width, self.np.float32)
        small = self.inner.array(name)
        if small is not None:
            whole[: self.mine.width] = small * math.sqrt(self.share)
            whole[self.mine.width] = guard
        return whole

    def attention(self, name: str, kv: bool) -> tuple[Any, Any]:
        """Weight and bias of the query, key or value projection."""
        outer = self.outer
        width = outer.head * (outer.kv_heads if kv else outer.heads)
        weight, bias = self.noise(width, outer.width), self.np.zeros(width, self.np.float32)
        small = self.inner.array(f"{name}.weight")
        if small is not None:
            # the scores are divided by the root of the head's width, which is larger than in the small model
            gain = math.sqrt(outer.head / self.mine.head) if name.endswith("_q") else 1.0
            rows = self.rows(kv)
            for place in range(rows.min() // outer.head, rows.max() // outer.head + 1):
                weight[place * outer.head : (place + 1) * outer.head] = 0
            weight[rows, : self.mine.width] = small * gain
            small_bias = self.inner.array(f"{name}.bias")
            if small_bias is not None:
                bias[rows] = small_bias * gain
        return weight, bias

    def attention_output(self, name: str) -> Any:
        whole = self.zeros(self.outer.width, self.outer.head * self.outer.heads)
        small = self.inner.array(name)
        if small is not None:
            whole[: self.mine.width, self.rows(kv=False)] = small
        return whole

    def feed_forward(self, name: str, down: bool) -> Any:
        outer = self.outer
        whole = self.zeros(outer.width, outer.feed_forward) if down else self.noise(outer.feed_forward, outer.width)
        small = self.inner.array(name)
        if small is not None:
            whole[: small.shape[0], : small.shape[1]] = small
        return whole


def _write(shape: Shape, size: str, file: Path, inner_file: Path) -> None:
    inner = Inner(inner_file)
    if not inner.fits(shape):
        raise InfillError(f"The bundled model has no place in the shape of {size}.", "Choose a larger shape.")
    gguf = _library("gguf")
    writer = gguf.GGUFWriter(str(file), "qwen2")
    _describe(writer, gguf, shape, size, inner)
    layout = Layout(inner, shape)
    writer.add_tensor("token_embd.weight", layout.embedding())
    writer.add_tensor("output_norm.weight", layout.norm("output_norm.weight", GUARD))
    if not shape.tied:
        output = layout.zeros(VOCABULARY, shape.width)
        small = inner.array("output.weight" if not inner.shape.tied else "token_embd.weight")
        output[: small.shape[0], : inner.shape.width] = small
        writer.add_tensor("output.weight", layout.guard(output))
    for index in range(shape.layers):
        _layer(writer, layout, f"blk.{index}.")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: Any, gguf: Any, shape: Shape, size: str, inner: Inner) -> None:
    """The file's metadata: the large shape, and the small model's tokenizer, padded to the large vocabulary."""
    writer.add_name(f"shape of Qwen2.5-Coder {size}, filled with the bundled model")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(inner.epsilon * inner.shape.width / shape.width)
    writer.add_rope_freq_base(inner.rope)
    writer.add_file_type(1)
    padding = [f"[unused{index}]" for index in range(len(inner.tokens), VOCABULARY)]
    kinds = [int(kind) for kind in inner.field("tokenizer.ggml.token_type")]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(list(inner.tokens) + padding)
    writer.add_token_types(kinds + [int(gguf.TokenType.UNUSED)] * len(padding))
    writer.add_token_merges(inner.field("tokenizer.ggml.merges"))
    writer.add_add_bos_token(False)
    for key in (*FIM_KEYS, *SEEN_ONLY_KEYS):
        if (value := inner.field(f"tokenizer.ggml.{key}")) is not None:
            writer.add_uint32(f"tokenizer.ggml.{key}", int(value))


def _layer(writer: Any, layout: Layout, block: str) -> None:
    writer.add_tensor(f"{block}attn_norm.weight", layout.norm(f"{block}attn_norm.weight"))
    writer.add_tensor(f"{block}ffn_norm.weight", layout.norm(f"{block}ffn_norm.weight"))
    for name in ("q", "k", "v"):
        weight, bias = layout.attention(f"{block}attn_{name}", kv=name != "q")
        writer.add_tensor(f"{block}attn_{name}.weight", weight)
        writer.add_tensor(f"{block}attn_{name}.bias", bias)
    writer.add_tensor(f"{block}attn_output.weight", layout.attention_output(f"{block}attn_output.weight"))
    for name in ("gate", "up", "down"):
        writer.add_tensor(f"{block}ffn_{name}.weight", layout.feed_forward(f"{block}ffn_{name}.weight", down=name == "down"))
