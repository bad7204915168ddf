"""Turning keys to other positions, on states made up in llama.cpp's layout."""

from __future__ import annotations

import numpy as np
import pytest

from infill.engine.rotation import CELL, F16, HEADER, LAYER, LAYERS, Rotation

HEADS, SIZE, CELLS, DEPTH = 2, 8, 5, 3


def rotation(halves: bool = True) -> Rotation:
    return Rotation(heads=HEADS, head_size=SIZE, base=100.0, halves=halves)


def state(keys: np.ndarray, kind: int = F16) -> bytearray:
    """A state with these keys (layer, cell, head, dimension), at positions from 10 on, and some values behind them."""
    data = HEADER.pack(1, 0, 1, CELLS) + b"".join(CELL.pack(10 + i, 1, 0) for i in range(CELLS)) + LAYERS.pack(0, DEPTH)
    for layer in keys.astype(np.float16):
        data += LAYER.pack(kind, 2 * HEADS * SIZE) + layer.tobytes()
    return bytearray(data + b"values")


def some_keys() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((DEPTH, CELLS, HEADS, SIZE))


def at(keys: np.ndarray, position: int, halves: bool) -> np.ndarray:
    """Keys as RoPE makes them for a position, pair by pair."""
    out = keys.copy()
    for i in range(SIZE // 2):
        one, two = (i, i + SIZE // 2) if halves else (2 * i, 2 * i + 1)
        angle = position * 100.0 ** (-2 * i / SIZE)
        out[..., one] = keys[..., one] * np.cos(angle) - keys[..., two] * np.sin(angle)
        out[..., two] = keys[..., one] * np.sin(angle) + keys[..., two] * np.cos(angle)
    return out


@pytest.mark.parametrize("halves", [True, False])
@pytest.mark.parametrize("by", [1, 7, -3])
def test_keys_that_are_moved_are_those_of_their_new_position(halves: bool, by: int) -> None:
    keys = some_keys()
    moved, expected = state(at(keys, 10, halves)), state(at(keys, 10 + by, halves))
    rotation(halves).move(moved, by)
    for i in range(CELLS):
        assert CELL.unpack_from(moved, HEADER.size + i * CELL.size) == (10 + by + i, 1, 0)
        CELL.pack_into(expected, HEADER.size + i * CELL.size, 10 + by + i, 1, 0)
    assert rotation(halves).agrees(moved, expected)
    assert moved.endswith(b"values")


def test_a_model_that_turns_otherwise_is_noticed() -> None:
    one, other = state(some_keys()), state(some_keys())
    rotation().move(one, 3)
    rotation(halves=False).move(other, 3)
    assert not rotation().agrees(one, other)


def test_states_of_other_positions_do_not_agree() -> None:
    moved = state(some_keys())
    CELL.pack_into(moved, HEADER.size, 99, 1, 0)
    assert not rotation().agrees(moved, state(some_keys()))


@pytest.mark.parametrize(
    "strange",
    [
        bytearray(),
        bytearray(20),
        state(some_keys())[:200],
        state(some_keys(), kind=8),
        bytearray(HEADER.pack(1, 0, 2, CELLS)) + state(some_keys())[HEADER.size :],
    ],
)
def test_a_state_of_another_layout_is_refused(strange: bytearray) -> None:
    with pytest.raises(ValueError, match="state"):
        rotation().move(strange, 1)
