"""Facts about a GGUF file: shapes, sizes, vocabulary. Reads only the header, not the weights, and without numpy or llama.cpp.

The project has its own reader because language servers list models too and must stay small; it also detects truncated files.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from infill import paths, state
from infill.errors import BadModelFile
from infill.models.edit_format import KEY, KNOWN, NAMES, EditFormat, recognized
from infill.models.gguf_header import Header, Tensor, Words, damaged, read_header, unreadable
from infill.state import write_atomically

MOST_LAYERS = 10_000
WIDEST = 1 << 24
"""Upper bound of a matrix's row length, of heads and of experts."""
LONGEST_CONTEXT = 1 << 32
MOST_PARTS = 1000
LONGEST_TITLE = 200

QUANTIZATIONS = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k", 11: "q3_k_s", 12: "q3_k_m", 13: "q3_k_l", 14: "q4_k_s",
    15: "q4_k_m", 16: "q5_k_s", 17: "q5_k_m", 18: "q6_k", 19: "iq2_xxs", 20: "iq2_xs", 21: "q2_k_s", 22: "iq3_xs", 23: "iq3_xxs", 24: "iq1_s",
    25: "iq4_nl", 26: "iq3_s", 27: "iq3_m", 28: "iq2_s", 29: "iq2_m", 30: "iq4_xs", 31: "iq1_m", 32: "bf16", 36: "tq1_0", 37: "tq2_0", 38: "mxfp4",
}  # fmt: skip
"""llama.cpp's file types, `general.file_type`."""

_FIM_KEYS = {
    "prefix": ("fim_pre_token_id", "prefix_token_id"),
    "suffix": ("fim_suf_token_id", "suffix_token_id"),
    "middle": ("fim_mid_token_id", "middle_token_id"),
}
RECURRENT = ("mamba", "rwkv", "qwen3next", "qwen35", "jamba", "falcon-h1", "granitehybrid", "lfm2", "nemotron_h", "plamo2")
"""Architectures, by the start of their name, whose memory is not a plain KV cache: it cannot be shifted."""
ENCODERS = ("bert", "nomic-bert", "jina-bert", "modern-bert", "neo-bert", "eurobert", "t5", "gemma-embedding", "llama-embed", "wavtokenizer", "clip")
"""Architectures, by the start of their name, that output embeddings or need an encoder; infill runs decoders only."""
_NAMED_OTHERWISE = re.compile(r"(?i)\b(?:embed|embeddings?|rerank|reranker|reward)\b")
"""Rerankers made from chat models differ from those only in their name."""
FORMAT = 4
"""Version of the cached records: raised when `Facts` changes."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What fitting and listing need to know of a model file."""

    architecture: str
    name: str
    quantization: str
    parameters: int
    file_bytes: int
    """Bytes of all parts of a split model."""
    layers: int
    layer_bytes: tuple[int, ...]
    """Bytes of each layer's weights."""
    input_bytes: int
    """Bytes of the token embeddings, which stay in main memory."""
    output_bytes: int
    """Bytes of the output head and norm; those of the embeddings again where the two are tied."""
    tied: bool
    """The output head is the embeddings' tensor: on a CPU it takes no extra memory."""
    embedding: int
    feed_forward: int
    heads: int
    kv_widths: tuple[int, ...]
    """Numbers cached per token in each layer: keys and values together."""
    vocabulary: int
    context: int
    """Context length of the training, in tokens."""
    active_share: float = 1.0
    """Share of the weights used for one token: below 1 in a mixture of experts."""
    fim: bool = False
    """Its vocabulary has fill-in-the-middle tokens."""
    generates: bool = True
    """It continues text; False for embedding and reranking models and for encoders."""
    basename: str = ""
    size_label: str = ""
    """The publisher's name and size of the model, such as `SmolLM2` and `135M`."""
    chat: bool = False
    """It has a chat template: it follows instructions."""
    edit_format: EditFormat | Literal[""] = ""
    """The prompt format of a next-edit model; empty: no known one."""
    controls: tuple[str, ...] = ()
    """The control tokens of `edit_format.KNOWN` in its vocabulary."""
    shifts: bool = True
    """Its memory is a plain KV cache, whose entries can be moved."""
    parts: int = 1
    by_type: dict[str, int] = {}
    """Bytes of the layers' matrices by type, only those whose number of rows is a multiple of eight."""
    output_type: str = ""
    """Type of the output head."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Types of the weights used in matrix multiplications."""
        return tuple(sorted({*self.by_type, self.output_type} - {""}))

    def __post_init__(self) -> None:
        """Raises ValueError for impossible values, so that a damaged cache file is not used."""
        totals = self.parameters, self.file_bytes, self.input_bytes, self.output_bytes, self.embedding, self.feed_forward, self.heads, self.context
        numbers = (*totals, *self.layer_bytes, *self.kv_widths, *self.by_type.values())
        if not 0 < self.layers == len(self.layer_bytes) == len(self.kv_widths) or not 0 <= min(numbers) <= max(numbers) < 1 << 63:
            raise ValueError(self.layers)
        if not 0 <= self.vocabulary <= LONGEST_CONTEXT or not 0 <= self.active_share <= 1 or not 0 < self.parts <= MOST_PARTS:
            raise ValueError(self.vocabulary)


def facts(path: Path) -> Facts:
    """`read`, cached by path, size and modification time: reading a vocabulary of 150,000 tokens takes 0.1 s."""
    try:
        status = path.stat()
    except (OSError, ValueError) as exc:  # ValueError: a name with a zero byte
        raise unreadable(path, exc) from exc
    key = hashlib.sha256(os.fsencode(path.absolute()) + f"|{FORMAT}|{status.st_size}|{status.st_mtime_ns}".encode()).hexdigest()[:24]
    remembered = paths.cache_directory() / "facts" / f"{key}.json"
    if (known := state.read(remembered, Facts)) is not None:
        return known
    found = read(path)
    with contextlib.suppress(OSError):
        remembered.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(remembered, msgspec.json.encode(found))
    return found


def read(path: Path) -> Facts:
    """Read the header of a GGUF file and of its other parts. Raises BadModelFile, whatever the file contains."""
    first, *others = [read_header(part) for part in (path, *parts_of(path)[1:])]
    try:
        return _facts(path, [first, *others])
    except BadModelFile:
        raise
    except Exception as exc:  # the values may be of any type and size
        raise damaged(path) from exc


def parts_of(path: Path) -> list[Path]:
    """The files of a model that llama.cpp split (`name-00001-of-00003.gguf`); else the file alone."""
    split = re.fullmatch(r"(.*)-(\d{5})-of-(\d{5})(\.gguf)", path.name, re.ASCII | re.IGNORECASE)
    if not split or not 1 <= int(split[2]) <= int(split[3]) <= MOST_PARTS:
        return [path]
    return [path.with_name(f"{split[1]}-{number:05}-of-{split[3]}{split[4]}") for number in range(1, int(split[3]) + 1)]


def _facts(path: Path, headers: list[Header]) -> Facts:
    metadata, tensors = headers[0].metadata, [tensor for header in headers for tensor in header.tensors]
    architecture = _title(metadata.get("general.architecture", ""))

    def of(key: str, most: int = WIDEST, default: int = 0) -> int:
        return _largest(metadata.get(f"{architecture}.{key}", default), most)

    layers = of("block_count", MOST_LAYERS)
    if not layers or not any(tensor.name.startswith("blk.") for tensor in tensors):
        raise BadModelFile(f"{path.name} holds no language model.", "Choose another file.")
    by_layer, rest, by_type = _sorted(tensors, layers)
    tied = "output.weight" not in rest
    embeddings = rest.get("token_embd.weight", 0)
    words = metadata.get("tokenizer.ggml.tokens", Words(0, frozenset()))
    experts, used, file_type = of("expert_count"), of("expert_used_count"), metadata.get("general.file_type")
    return Facts(
        architecture=architecture,
        name=_title(metadata.get("general.name", path.stem)),
        quantization=QUANTIZATIONS.get(file_type, "mixed") if isinstance(file_type, int) else "mixed",
        parameters=sum(tensor.weights for tensor in tensors),
        file_bytes=sum(header.file_bytes for header in headers),
        layers=layers,
        layer_bytes=tuple(by_layer),
        input_bytes=embeddings,
        output_bytes=sum(rest.values()) - embeddings + (embeddings if tied else 0),
        tied=tied,
        embedding=of("embedding_length"),
        feed_forward=max(of("feed_forward_length"), of("expert_feed_forward_length") * used),
        heads=of("attention.head_count"),
        kv_widths=_kv_widths(metadata, architecture, of, layers),
        vocabulary=words.total,
        context=of("context_length", LONGEST_CONTEXT),
        active_share=_active_share(tensors, experts, used),
        fim=all(part in words.fim or any(f"tokenizer.ggml.{key}" in metadata for key in keys) for part, keys in _FIM_KEYS.items()),
        generates=_generates(metadata, architecture),
        basename=_title(metadata.get("general.basename", "")),
        size_label=_title(metadata.get("general.size_label", "")),
        chat="tokenizer.chat_template" in metadata,
        edit_format=recognized(_title(metadata.get(KEY, "")), [_title(metadata.get(key, "")) for key in NAMES], words.fim),
        controls=tuple(text for text in KNOWN if text in words.fim),
        shifts=not architecture.startswith(RECURRENT) and not any(".ssm." in key for key in metadata),
        parts=len(headers),
        by_type=by_type,
        output_type=next((each.type for name in ("output.weight", "token_embd.weight") for each in tensors if each.name == name), ""),
    )


def _generates(metadata: dict[str, Any], architecture: str) -> bool:
    """Whether the model continues text (llama.cpp, `enum llama_pooling_type`: 0 is none)."""
    pooling = metadata.get(f"{architecture}.pooling_type", 0)
    if architecture.startswith(ENCODERS) or (isinstance(pooling, int) and pooling > 0) or metadata.get(f"{architecture}.attention.causal") is False:
        return False
    names = f"{metadata.get('general.name', '')} {metadata.get('general.basename', '')} {metadata.get('general.finetune', '')}"
    return f"{architecture}.classifier.output_labels" not in metadata and not _NAMED_OTHERWISE.search(names)


def _title(value: Any) -> str:
    """A short text on one line, whatever the file or its name contains."""
    text = str(value)[:LONGEST_TITLE].encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def _largest(value: Any, most: int = WIDEST) -> int:
    """A number of the header, or the largest of a list with one per layer. Raises ValueError or TypeError if it is not a number."""
    number = max(value, default=0) if isinstance(value, list) else value
    if not math.isfinite(number) or not 0 <= number <= most:
        raise ValueError(number)
    return int(number)


def _sorted(tensors: list[Tensor], layers: int) -> tuple[list[int], dict[str, int], dict[str, int]]:
    """Bytes by layer, bytes by name of tensors in no layer, and bytes of the layers' matrices by type."""
    by_layer = [0] * layers
    rest: dict[str, int] = {}
    by_type: dict[str, int] = {}
    for tensor in tensors:
        if (layer := re.match(r"blk\.([0-9]{1,6})\.", tensor.name)) and int(layer[1]) < layers:
            by_layer[int(layer[1])] += tensor.size
            if tensor.type and tensor.rows and tensor.rows % 8 == 0:
                by_type[tensor.type] = by_type.get(tensor.type, 0) + tensor.size
        else:
            rest[tensor.name] = tensor.size
    return by_layer, rest, by_type


def _active_share(tensors: list[Tensor], experts: int, used: int) -> float:
    total = sum(tensor.size for tensor in tensors)
    if not 0 < used <= experts or not total:
        return 1.0
    expert = sum(tensor.size for tensor in tensors if "_exps." in tensor.name)
    return (total - expert + expert * used / experts) / total


def _kv_widths(metadata: dict[str, Any], architecture: str, of: Any, layers: int) -> tuple[int, ...]:
    """Keys and values per token and layer; some architectures give each layer its own number of heads."""
    heads = of("attention.head_count")
    shared = metadata.get(f"{architecture}.attention.head_count_kv", heads)
    per_layer = shared if isinstance(shared, list) and len(shared) == layers else [shared] * layers
    default = of("embedding_length") // heads if heads > 0 else 0
    width = of("attention.key_length", default=default) + of("attention.value_length", default=default)
    return tuple(_largest(count) * width for count in per_layer)
