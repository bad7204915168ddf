"""Moves keys to other positions outside llama.cpp, at a cost that depends only on the number of moved tokens. Pure: bytes in, bytes out.

llama.cpp applies a shift by rotating the keys of *every* cell of the cache, even of empty ones. With 8,192 cells that takes as long as two or
three tokens of a 0.5B model, at every keystroke. But the state of a sequence can be saved, changed and restored. Positions enter the keys as
rotations (RoPE), the same for all tokens that move by the same distance, so the change is little arithmetic.

The layout of the state is internal to llama.cpp, and some models rotate differently. So `Context` compares the result with llama.cpp's once,
before it relies on this module. An unexpected state raises ValueError, and llama.cpp then applies the shift.
"""

from __future__ import annotations

import struct

import msgspec
import numpy as np
from numpy.typing import NDArray

HEADER = struct.Struct("<IiII")
"""Magic, sequence, streams, cells."""
CELL = struct.Struct("<iIi")
"""Position, number of sequences, sequence."""
LAYERS = struct.Struct("<II")
"""Whether values are transposed; number of layers."""
LAYER = struct.Struct("<iQ")
"""Type of the keys, bytes of a row."""
F16 = 1
"""ggml's number for half precision."""


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """How one model's keys depend on their position."""

    heads: int
    """Number of key heads."""
    head_size: int
    base: float
    """Base of the angles."""
    halves: bool
    """Each dimension is rotated with the one half a head away (NeoX), not with its neighbour."""

    def move(self, state: bytearray, by: int) -> None:
        """Move all tokens in the state of a sequence by `by` positions. Raises ValueError if the state has an unexpected format."""
        cells, keys = self._open(state)
        cells[:, 0] += by
        angles = by * self.base ** (-np.arange(0, self.head_size, 2) / self.head_size)
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        for layer in keys:  # one layer at a time fits into the processor's cache
            first, second = self._pairs(layer)
            a, b = first.astype(np.float32), second.astype(np.float32)
            first[...] = a * cos - b * sin
            second[...] = a * sin + b * cos

    def agrees(self, one: bytearray, other: bytearray) -> bool:
        """Whether two states have the same keys, except for rounding."""
        (here, a), (there, b) = self._open(one), self._open(other)
        left, right = a.astype(np.float32), b.astype(np.float32)
        if left.shape != right.shape or not np.array_equal(here[:, 0], there[:, 0]):
            return False
        return bool(np.abs(left - right).max() <= 0.004 * max(1.0, float(np.abs(right).max())))

    def _open(self, state: bytearray) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
        """Views of a state's cells and of its keys (layer, cell, head, dimension)."""
        try:
            _, _, streams, count = HEADER.unpack_from(state)
            start = HEADER.size
            cells = np.ndarray((count, 3), np.int32, state, start)
            start += count * CELL.size
            _, layers = LAYERS.unpack_from(state, start)
            start += LAYERS.size
            kind, row = LAYER.unpack_from(state, start)
            stride = LAYER.size + count * row
            shape = (layers, count, self.heads, self.head_size)
            keys = np.ndarray(shape, np.float16, state, start + LAYER.size, (stride, row, 2 * self.head_size, 2))
            alike = all(LAYER.unpack_from(state, start + layer * stride) == (kind, row) for layer in range(layers))
        except (struct.error, TypeError, ValueError) as exc:
            raise ValueError("the state is shorter than it should be") from exc
        if streams != 1 or kind != F16 or row != 2 * self.heads * self.head_size or not alike or bool((cells[:, 1] != 1).any()):
            raise ValueError("the state is laid out otherwise")
        return cells, keys

    def _pairs(self, keys: NDArray[np.float16]) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        half = self.head_size // 2
        return (keys[..., :half], keys[..., half:]) if self.halves else (keys[..., ::2], keys[..., 1::2])
