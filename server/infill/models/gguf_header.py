"""Reads the header of a GGUF file, metadata and tensors, within limits. Reads no weights and needs neither numpy nor llama.cpp.

Files are untrusted: they come from the internet or from watched folders. So every count, length and size is checked before use: the worst file takes
seconds and some hundred megabytes. The file is read, not memory-mapped: if another process truncates a mapped file, a signal kills this process.
"""

from __future__ import annotations

import math
import os
import stat
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from infill.errors import BadModelFile
from infill.models.edit_format import KNOWN

MAGIC = b"GGUF"
SWAPPED = (0x01000000, 0x02000000, 0x03000000)
"""Version numbers in the other byte order."""
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9

LARGEST_HEADER = 256 * 1024 * 1024
"""Bytes; headers of vocabularies with 260,000 tokens have 20 million."""
FIRST_READ = 1024 * 1024
"""Bytes of the first read; sixteen times as many at each further one."""
MOST_ENTRIES = 65_536
MOST_TENSORS = 100_000
MOST_DIMENSIONS = 4
MOST_WORDS = 4_000_000
"""Maximum number of texts in all lists together."""
MOST_NUMBERS = 10_000
"""Longer lists of numbers are skipped: the relevant ones have one number per layer."""
LONGEST_NAME = 65_535
"""Bytes of a key or a tensor's name; GGUF's own limit."""
LONGEST_TEXT = 4096
"""Bytes of a value that are kept. Of longer ones (chat templates) only the presence matters."""
LARGEST_ALIGNMENT = 1 << 20
OVERLAP = 16
"""Maximum size of all tensors together, in multiples of the file's size: the sizes of types that are not in `BLOCKS` are a guess."""
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags for opening files: opening a named pipe must not block."""

BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40), 10: (256, 84), 11: (256, 110),
    12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip
"""ggml's tensor types: weights and bytes per block."""

TYPES = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 10: "q2_k", 11: "q3_k", 12: "q4_k", 13: "q5_k", 14: "q6_k",
    16: "iq2_xxs", 17: "iq2_xs", 18: "iq3_xxs", 19: "iq1_s", 20: "iq4_nl", 21: "iq3_s", 22: "iq2_s", 23: "iq4_xs", 29: "iq1_m", 30: "bf16",
    34: "tq1_0", 35: "tq2_0", 39: "mxfp4",
}  # fmt: skip
"""ggml's tensor types by name."""

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
_BY_TEXT = {**{text.encode(): text for text in KNOWN}, **{text.encode(): part for part, texts in FIM_TOKENS.items() for text in texts}}


class Tensor(NamedTuple):
    """One tensor of the file."""

    name: str
    weights: int
    size: int
    offset: int
    type: str
    """One of `TYPES`; empty for others."""
    rows: int
    """0: it is not a matrix."""


class Header(msgspec.Struct, frozen=True):
    """The part of the file before the weights."""

    metadata: dict[str, Any]
    """Numbers, texts (cut), lists of at most `MOST_NUMBERS` numbers, and for a list of texts a `Words`."""
    tensors: list[Tensor]
    file_bytes: int


class Words(NamedTuple):
    """What is kept of a list of texts."""

    total: int
    fim: frozenset[str]
    """The fill-in-the-middle tokens and the control tokens of next-edit models in the vocabulary."""


class _TooShort(Exception):
    """The data read so far ends before the header does."""


def read_header(path: Path) -> Header:
    """The header of a file. Raises BadModelFile, whatever the file contains."""
    try:
        with os.fdopen(os.open(path, READ), "rb") as stream:
            return _growing(path, stream)
    except OSError as exc:
        raise unreadable(path, exc) from exc
    except (_TooShort, struct.error) as exc:
        raise BadModelFile(f"The header of {path.name} is damaged or cut short.", "Download it again, or choose another.") from exc
    except (ValueError, KeyError, OverflowError, MemoryError) as exc:
        raise damaged(path) from exc


def damaged(path: Path) -> BadModelFile:
    return BadModelFile(f"{path.name} is damaged or no GGUF file.", "Download it again, or choose another.")


def unreadable(path: Path, exc: OSError | ValueError) -> BadModelFile:
    return BadModelFile(
        f"The model file {path} cannot be read: {getattr(exc, 'strerror', None) or exc}.", "Check that it is there and that you may read it."
    )


def _growing(path: Path, stream: BinaryIO) -> Header:
    """Read the file's beginning, and more of it until the header is complete."""
    status = os.fstat(stream.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise BadModelFile(f"{path} is not a file.", "Give the path of a *.gguf file.")
    most, limit = FIRST_READ, min(status.st_size, LARGEST_HEADER)
    while True:
        stream.seek(0)
        try:
            return _Walk(stream.read(min(most, limit)), limit).header(path, status.st_size)
        except (_TooShort, struct.error):
            if most >= limit:
                raise
        most *= 16


class _Walk:
    """A position in the data, moving forward. Counts and lengths are checked before memory is allocated for them."""

    def __init__(self, view: bytes, limit: int) -> None:
        self.view = view
        self.limit = limit
        """The largest possible end of the header."""
        self.at = 0
        self.words = 0

    def take(self, code: str) -> Any:
        value = struct.unpack_from(f"<{code}", self.view, self.at)[0]
        self.at += struct.calcsize(f"<{code}")
        return value

    def bounded(self, code: str, most: int) -> int:
        """A count or a length. Raises ValueError if it is larger than in any real header."""
        number: int = self.take(code)
        if number > most:
            raise ValueError(number)
        return number

    def skip(self, length: int) -> int:
        """Advance by `length` bytes; returns where they begin."""
        start = self.at
        self.at += length
        if self.at > self.limit:
            raise ValueError(length)
        if self.at > len(self.view):
            raise _TooShort
        return start

    def name(self) -> str:
        start = self.skip(self.bounded("Q", LONGEST_NAME))
        return self.view[start : self.at].decode()

    def text(self) -> str:
        start = self.skip(self.bounded("Q", LARGEST_HEADER))
        return self.view[start : min(self.at, start + LONGEST_TEXT)].decode(errors="replace")

    def header(self, path: Path, file_bytes: int) -> Header:
        if len(self.view) >= len(MAGIC) and self.view[:4] != MAGIC:
            raise BadModelFile(f"{path.name} is not a GGUF file.", "infill loads models in llama.cpp's GGUF format only.")
        self.skip(len(MAGIC))
        version = self.take("I")
        if version in SWAPPED:
            raise BadModelFile(f"{path.name} is a big-endian GGUF file; this computer is little-endian.", "Download the little-endian file.")
        if version not in (2, 3):
            raise BadModelFile(f"{path.name} is a GGUF of version {version}, which this program does not know.", "Choose a newer file.")
        tensor_count, entry_count = self.bounded("Q", MOST_TENSORS), self.bounded("Q", MOST_ENTRIES)
        metadata = dict(self.entry() for _ in range(entry_count))
        tensors = [self.tensor() for _ in range(tensor_count)]
        _must_hold(path, file_bytes, self.at, _alignment(metadata), tensors)
        return Header(metadata, tensors, file_bytes)

    def entry(self) -> tuple[str, Any]:
        key = self.name()
        return key, self.value(self.take("I"), key)

    def value(self, kind: int, key: str) -> Any:
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            return self.take(SCALARS[kind])
        kind, length = self.take("I"), self.bounded("Q", LARGEST_HEADER)
        if kind == STRING:
            return self.texts(length, key)
        code = SCALARS[kind]  # no model has lists of lists
        start = self.skip(length * struct.calcsize(f"<{code}"))
        return list(struct.unpack_from(f"<{length}{code}", self.view, start)) if length <= MOST_NUMBERS and not key.startswith("tokenizer.") else []

    def texts(self, length: int, key: str) -> Words:
        """Read a list of texts without keeping them."""
        self.words += length
        if self.words > MOST_WORDS or self.at + 8 * length > self.limit:
            raise ValueError(length)
        if self.at + 8 * length > len(self.view):
            raise _TooShort
        found, view, at, unpack = set(), self.view, self.at, struct.Struct("<Q").unpack_from
        for _ in range(length):
            start = at + 8
            at = start + unpack(view, at)[0]
            if at - start < 24 and (part := _BY_TEXT.get(view[start:at])):
                found.add(part)
        self.skip(at - self.at)
        return Words(length, frozenset(found if key == "tokenizer.ggml.tokens" else ()))

    def tensor(self) -> Tensor:
        name = self.name()
        shape = [self.take("Q") for _ in range(self.bounded("I", MOST_DIMENSIONS))]
        weights, kind = math.prod(shape), self.take("I")
        block, size = BLOCKS.get(kind, (1, 2))
        rows = shape[1] if len(shape) > 1 else 0
        return Tensor(name, weights, weights // block * size, self.take("Q"), TYPES.get(kind, ""), rows)


def _alignment(metadata: dict[str, Any]) -> int:
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= LARGEST_ALIGNMENT:
        raise ValueError(alignment)
    return alignment


def _must_hold(path: Path, file_bytes: int, header_bytes: int, alignment: int, tensors: list[Tensor]) -> None:
    """Raises BadModelFile for a truncated download: the last tensor must lie inside the file."""
    start = -(-header_bytes // alignment) * alignment
    needed = max((start + tensor.offset + tensor.size for tensor in tensors), default=0)
    if sum(tensor.size for tensor in tensors) > OVERLAP * file_bytes:
        raise ValueError(file_bytes)
    if needed > file_bytes:
        missing = needed - file_bytes
        raise BadModelFile(f"{path.name} is cut short: {missing:,} of {needed:,} bytes are missing.", "Download it again.")
