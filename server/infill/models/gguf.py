"""What a GGUF file says of itself: shapes, sizes, vocabulary. Reads the header alone; never the weights, never with numpy or llama.cpp.

The reader is our own because editors' servers list models too, and they must stay small; it also notices a file that was cut short.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import mmap
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from infill import paths
from infill.errors import BadModelFile
from infill.state import write_atomically

MAGIC = b"GGUF"
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
MOST_ENTRIES = 1 << 28
"""No honest header counts further; a damaged one does."""
MOST_LAYERS = 10_000

BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40), 10: (256, 84), 11: (256, 110),
    12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip
"""ggml's tensor types: how many weights make a block, and its bytes."""

TYPES = {2: "q4_0", 8: "q8_0", 10: "q2_k", 12: "q4_k", 13: "q5_k", 14: "q6_k", 20: "iq4_nl", 39: "mxfp4"}
"""Tensor types of which some processors want a second, rearranged copy in memory."""

QUANTIZATIONS = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k", 11: "q3_k_s", 12: "q3_k_m", 13: "q3_k_l", 14: "q4_k_s",
    15: "q4_k_m", 16: "q5_k_s", 17: "q5_k_m", 18: "q6_k", 19: "iq2_xxs", 20: "iq2_xs", 21: "q2_k_s", 22: "iq3_xs", 23: "iq3_xxs", 24: "iq1_s",
    25: "iq4_nl", 26: "iq3_s", 27: "iq3_m", 28: "iq2_s", 29: "iq2_m", 30: "iq4_xs", 31: "iq1_m", 32: "bf16", 36: "tq1_0", 37: "tq2_0", 38: "mxfp4",
}  # fmt: skip
"""llama.cpp's file types, `general.file_type`."""

FIM_TOKENS = {
    "prefix": (
        "<|fim_prefix|>",
        "<fim-prefix>",
        "<fim_prefix>",
        "<\uff5cfim\u2581begin\uff5c>",
        "<PRE>",
        "\u2581<PRE>",
        "<|code_prefix|>",
        "<|prefix|>",
    ),
    "suffix": (
        "<|fim_suffix|>",
        "<fim-suffix>",
        "<fim_suffix>",
        "<\uff5cfim\u2581hole\uff5c>",
        "<SUF>",
        "\u2581<SUF>",
        "<|code_suffix|>",
        "<|suffix|>",
    ),
    "middle": (
        "<|fim_middle|>",
        "<fim-middle>",
        "<fim_middle>",
        "<\uff5cfim\u2581end\uff5c>",
        "<MID>",
        "\u2581<MID>",
        "<|code_middle|>",
        "<|middle|>",
    ),
}
"""Tokens that llama.cpp recognises by their text where the header does not name their ids (its src/llama-vocab.cpp)."""
_FIM_BY_TEXT = {text.encode(): part for part, texts in FIM_TOKENS.items() for text in texts}
_FIM_KEYS = {
    "prefix": ("fim_pre_token_id", "prefix_token_id"),
    "suffix": ("fim_suf_token_id", "suffix_token_id"),
    "middle": ("fim_mid_token_id", "middle_token_id"),
}
RECURRENT = ("mamba", "rwkv", "qwen3next", "qwen35", "jamba", "falcon-h1", "granitehybrid", "lfm2", "nemotron_h", "plamo2")
"""Architectures (by how their name begins) whose memory is not a plain KV cache: it cannot be shifted."""


class Tensor(NamedTuple):
    """One tensor of the file."""

    name: str
    weights: int
    size: int
    offset: int
    type: str
    """Of `TYPES`; empty for others, and where its rows do not come in eights."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that fitting and listing need to know of one model file."""

    architecture: str
    name: str
    quantization: str
    parameters: int
    file_bytes: int
    """Of all its parts, where a model is split over several files."""
    layers: int
    layer_bytes: tuple[int, ...]
    """Weights of each layer."""
    input_bytes: int
    """The token embeddings: they stay in main memory."""
    output_bytes: int
    """The output head and norm; the embeddings once more where the two are tied."""
    tied: bool
    """The output head is the embeddings' own tensor: on a CPU it takes no memory of its own."""
    embedding: int
    feed_forward: int
    heads: int
    kv_widths: tuple[int, ...]
    """Numbers cached per token in each layer: keys and values together."""
    vocabulary: int
    context: int
    """The longest that it was trained for."""
    active_share: float = 1.0
    """Of the weights, what works on one token: less than all in a mixture of experts."""
    fim: bool = False
    """Its vocabulary has fill-in-the-middle tokens."""
    chat: bool = False
    """It brings a chat template: it follows instructions."""
    shifts: bool = True
    """Its memory is a plain KV cache, whose entries can be moved."""
    parts: int = 1
    by_type: dict[str, int] = {}
    """Bytes of the layers' matrices by type, of those in `TYPES`."""


def facts(path: Path) -> Facts:
    """`read`, remembered by path, size and time of change: a vocabulary of 150,000 words takes a tenth of a second to walk."""
    try:
        status = path.stat()
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    key = hashlib.sha256(f"{path.absolute()}|{status.st_size}|{status.st_mtime_ns}".encode()).hexdigest()[:24]
    remembered = paths.cache_directory() / "facts" / f"{key}.json"
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(remembered.read_bytes(), type=Facts)
    found = read(path)
    with contextlib.suppress(OSError):
        remembered.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(remembered, msgspec.json.encode(found))
    return found


def read(path: Path) -> Facts:
    """Read the header of a GGUF, and of its other parts where it is split. Raises BadModelFile."""
    first, tensors, file_bytes = _header(path)
    others = [_header(part) for part in parts_of(path)[1:]]
    tensors = [*tensors, *(tensor for _, more, _ in others for tensor in more)]
    return _facts(path, first, tensors, file_bytes + sum(size for _, _, size in others))


def parts_of(path: Path) -> list[Path]:
    """The files of a model that is split as llama.cpp splits them (`name-00001-of-00003.gguf`); else the file alone."""
    split = re.fullmatch(r"(.*)-(\d{5})-of-(\d{5})\.gguf", path.name)
    if not split:
        return [path]
    return [path.with_name(f"{split[1]}-{number:05}-of-{split[3]}.gguf") for number in range(1, int(split[3]) + 1)]


def _unreadable(path: Path, exc: OSError) -> BadModelFile:
    return BadModelFile(f"The model file {path} cannot be read: {exc.strerror or exc}.", "Check that it is there and that you may read it.")


def _header(path: Path) -> tuple[dict[str, Any], list[Tensor], int]:
    """Metadata, tensors, and the file's size."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return *_Walk(view).everything(path), len(view)
    except (OSError, ValueError) as exc:  # ValueError: mmap of an empty file, text that is no UTF-8
        if isinstance(exc, OSError):
            raise _unreadable(path, exc) from exc
        raise BadModelFile(f"{path.name} is damaged or no GGUF file.", "Download it again, or choose another.") from exc
    except (struct.error, KeyError, IndexError, OverflowError) as exc:
        raise BadModelFile(f"The header of {path.name} is damaged or cut short.", "Download it again, or choose another.") from exc


class _Walk:
    """A position in the file, moving forward."""

    def __init__(self, view: mmap.mmap) -> None:
        self.view = view
        self.at = 0

    def take(self, code: str) -> Any:
        value = struct.unpack_from(f"<{code}", self.view, self.at)[0]
        self.at += struct.calcsize(f"<{code}")
        return value

    def count(self) -> int:
        number: int = self.take("Q")
        if number > MOST_ENTRIES:
            raise ValueError(number)
        return number

    def text(self) -> bytes:
        length = self.count()
        value = self.view[self.at : self.at + length]
        if len(value) != length:
            raise IndexError(length)
        self.at += length
        return value

    def everything(self, path: Path) -> tuple[dict[str, Any], list[Tensor]]:
        if self.view[:4] != MAGIC:
            raise BadModelFile(f"{path.name} is not a GGUF file.", "infill loads models in llama.cpp's GGUF format only.")
        self.at = 4
        if (version := self.take("I")) not in (2, 3):
            raise BadModelFile(f"{path.name} is a GGUF of version {version}, which this program does not know.", "Choose a newer file.")
        tensor_count, entry_count = self.count(), self.count()
        metadata = dict(self.entry() for _ in range(entry_count))
        tensors = list(self.tensors(tensor_count))
        start = -(-self.at // (alignment := int(metadata.get("general.alignment", 32)))) * alignment
        self.must_hold(path, start, tensors)
        return metadata, tensors

    def must_hold(self, path: Path, start: int, tensors: list[Tensor]) -> None:
        """A download that broke off looks whole from the front: the last tensor must lie inside the file."""
        needed = max((start + tensor.offset + tensor.size for tensor in tensors), default=0)
        if needed > len(self.view):
            missing = needed - len(self.view)
            raise BadModelFile(f"{path.name} is cut short: {missing:,} of {needed:,} bytes are missing.", "Download it again.")

    def entry(self) -> tuple[str, Any]:
        key = self.text().decode()
        return key, self.value(self.take("I"), key)

    def value(self, kind: int, key: str) -> Any:
        if kind == STRING:
            return self.text().decode(errors="replace")
        if kind != ARRAY:
            return self.take(SCALARS[kind])
        kind, length = self.take("I"), self.count()
        if kind == STRING:
            return self.texts(length, key)
        if kind == ARRAY:
            return [self.value(ARRAY, key) for _ in range(length)]
        code = f"<{length}{SCALARS[kind]}"
        values = struct.unpack_from(code, self.view, self.at) if not key.startswith("tokenizer.") else range(length)
        self.at += struct.calcsize(code)
        return list(values) if length <= 4096 else values

    def texts(self, length: int, key: str) -> tuple[int, frozenset[str]]:
        """Walks a list of strings without keeping it: how many there are, and which parts of fill-in-the-middle they name."""
        found, view, at, unpack = set(), self.view, self.at, struct.Struct("<Q").unpack_from
        for _ in range(length):
            start = at + 8
            at = start + unpack(view, at)[0]
            if at - start < 24 and (part := _FIM_BY_TEXT.get(view[start:at])):
                found.add(part)
        if at > len(view):
            raise IndexError(at)
        self.at = at
        return length, frozenset(found if key == "tokenizer.ggml.tokens" else ())

    def tensors(self, count: int) -> Iterator[Tensor]:
        for _ in range(count):
            name = self.text().decode()
            shape = [self.take("Q") for _ in range(self.take("I"))]
            weights, kind = math.prod(shape), self.take("I")
            block, size = BLOCKS.get(kind, (1, 2))
            eights = len(shape) > 1 and shape[1] % 8 == 0
            yield Tensor(name, weights, weights // block * size, self.take("Q"), TYPES.get(kind, "") if eights else "")


def _facts(path: Path, metadata: dict[str, Any], tensors: list[Tensor], file_bytes: int) -> Facts:
    architecture = str(metadata.get("general.architecture", ""))

    def of(key: str, default: Any = 0) -> Any:
        return metadata.get(f"{architecture}.{key}", default)

    layers = int(of("block_count"))
    if not 0 < layers <= MOST_LAYERS or not any(tensor.name.startswith("blk.") for tensor in tensors):
        raise BadModelFile(f"{path.name} holds no language model.", "Choose another file.")
    by_layer, rest, by_type = _sorted(tensors, layers)
    tied = "output.weight" not in rest
    embeddings = rest.get("token_embd.weight", 0)
    count, named = metadata.get("tokenizer.ggml.tokens", (0, frozenset()))
    return Facts(
        architecture=architecture,
        name=str(metadata.get("general.name", path.stem)),
        quantization=QUANTIZATIONS.get(metadata.get("general.file_type", -1), "mixed"),
        parameters=sum(tensor.weights for tensor in tensors),
        file_bytes=file_bytes,
        layers=layers,
        layer_bytes=tuple(by_layer),
        input_bytes=embeddings,
        output_bytes=sum(rest.values()) - embeddings + (embeddings if tied else 0),
        tied=tied,
        embedding=int(of("embedding_length")),
        feed_forward=max(_largest(of("feed_forward_length")), int(of("expert_feed_forward_length")) * int(of("expert_used_count"))),
        heads=_largest(of("attention.head_count")),
        kv_widths=_kv_widths(of, layers),
        vocabulary=count,
        context=int(of("context_length")),
        active_share=_active_share(tensors, int(of("expert_count")), int(of("expert_used_count"))),
        fim=all(part in named or any(f"tokenizer.ggml.{key}" in metadata for key in keys) for part, keys in _FIM_KEYS.items()),
        chat="tokenizer.chat_template" in metadata,
        shifts=not architecture.startswith(RECURRENT) and not any(".ssm." in key for key in metadata),
        parts=len(parts_of(path)),
        by_type=by_type,
    )


def _sorted(tensors: list[Tensor], layers: int) -> tuple[list[int], dict[str, int], dict[str, int]]:
    """Bytes by layer, bytes of what is in no layer by name, and bytes of the layers' matrices by type."""
    by_layer = [0] * layers
    rest: dict[str, int] = {}
    by_type: dict[str, int] = {}
    for tensor in tensors:
        if (layer := re.match(r"blk\.(\d+)\.", tensor.name)) and int(layer[1]) < layers:
            by_layer[int(layer[1])] += tensor.size
            if tensor.type:
                by_type[tensor.type] = by_type.get(tensor.type, 0) + tensor.size
        else:
            rest[tensor.name] = tensor.size
    return by_layer, rest, by_type


def _active_share(tensors: list[Tensor], experts: int, used: int) -> float:
    if not experts or not used:
        return 1.0
    total = sum(tensor.size for tensor in tensors)
    expert = sum(tensor.size for tensor in tensors if "_exps." in tensor.name)
    return (total - expert + expert * used / experts) / total


def _largest(value: Any) -> int:
    return max(value, default=0) if isinstance(value, (list, tuple)) else int(value)


def _kv_widths(of: Any, layers: int) -> tuple[int, ...]:
    """Keys and values per token and layer; some architectures give each layer its own number of heads."""
    heads = _largest(of("attention.head_count"))
    shared = of("attention.head_count_kv", heads)
    per_layer = list(shared) if isinstance(shared, (list, tuple)) else [int(shared)] * layers
    default = int(of("embedding_length")) // heads if heads else 0
    width = int(of("attention.key_length", default)) + int(of("attention.value_length", default))
    return tuple(count * width for count in per_layer)
