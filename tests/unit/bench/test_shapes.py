"""Files with the shapes of real models: as large as those, with the bundled model's answers inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from infill import paths
from infill.bench import shapes
from infill.bench.shapes import Inner, Layout, Shape
from infill.errors import InfillError

WIDE = Shape(layers=7, width=512, heads=4, kv_heads=2, feed_forward=1024, tied=True)
"""Twice as wide as the bundled model, heads too."""


@pytest.fixture(scope="module")
def inner() -> Inner:
    return Inner(paths.bundled_model())


def normed(values: np.ndarray, weight: np.ndarray, epsilon: float) -> np.ndarray:
    return values / np.sqrt(np.mean(values**2) + epsilon) * weight


def test_a_norm_over_more_columns_gives_the_same(inner: Inner) -> None:
    layout, width = Layout(inner, WIDE), inner.shape.width
    stream = np.random.default_rng(1).standard_normal(width).astype(np.float32)
    padded = np.concatenate([stream, np.zeros(WIDE.width - width, np.float32)])
    small = normed(stream, inner.array("blk.0.attn_norm.weight"), inner.epsilon)
    large = normed(padded, layout.norm("blk.0.attn_norm.weight"), inner.epsilon * width / WIDE.width)
    assert np.allclose(large[:width], small, rtol=1e-4)
    assert not large[width:].any()


def rotated(head: np.ndarray, position: int, base: float) -> np.ndarray:
    """Rotary embedding as Qwen has it: pairs are half a head apart."""
    half = head.size // 2
    angles = position * base ** (-np.arange(half) * 2.0 / head.size)
    first, second = head[:half], head[half:]
    return np.concatenate([first * np.cos(angles) - second * np.sin(angles), second * np.cos(angles) + first * np.sin(angles)])


def test_attention_scores_in_wider_heads_are_the_same(inner: Inner) -> None:
    layout, mine = Layout(inner, WIDE), inner.shape
    stream = np.random.default_rng(2).standard_normal(mine.width).astype(np.float32)
    padded = np.concatenate([stream, np.zeros(WIDE.width - mine.width, np.float32)])
    query, query_bias = layout.attention("blk.1.attn_q", kv=False)
    key, key_bias = layout.attention("blk.1.attn_k", kv=True)
    large_q, large_k = query.astype(np.float32) @ padded + query_bias, key.astype(np.float32) @ padded + key_bias
    small_q = inner.array("blk.1.attn_q.weight") @ stream + inner.array("blk.1.attn_q.bias")
    small_k = inner.array("blk.1.attn_k.weight") @ stream + inner.array("blk.1.attn_k.bias")
    for head in range(mine.heads):
        group = head // (mine.heads // mine.kv_heads)
        place = group * (WIDE.heads // WIDE.kv_heads) + head % (mine.heads // mine.kv_heads)
        one = rotated(large_q[place * WIDE.head : (place + 1) * WIDE.head], 9, inner.rope) @ rotated(
            large_k[group * WIDE.head : (group + 1) * WIDE.head], 4, inner.rope
        )
        other = rotated(small_q[head * mine.head : (head + 1) * mine.head], 9, inner.rope) @ rotated(
            small_k[group * mine.head : (group + 1) * mine.head], 4, inner.rope
        )
        assert one / np.sqrt(WIDE.head) == pytest.approx(other / np.sqrt(mine.head), rel=5e-3, abs=5e-3)


def test_what_must_not_be_said_is_marked(inner: Inner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "VOCABULARY", len(inner.tokens) + 10)
    column = Layout(inner, WIDE).embedding()[:, inner.shape.width]
    silent = inner.silent()
    assert int(inner.field("tokenizer.ggml.eos_token_id")) in silent
    assert int(inner.field("tokenizer.ggml.fim_mid_token_id")) not in silent
    assert all(column[token] < 0 for token in silent)
    assert (column[len(inner.tokens) :] < 0).all()
    assert column[inner.tokens.index("def")] > 0


def test_the_file_has_the_shape_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "VOCABULARY", 9000)
    monkeypatch.setitem(shapes.SHAPES, "wide", WIDE)
    shapes.make("wide", "f16", tmp_path / "wide.gguf")
    reader = GGUFReader(tmp_path / "wide.gguf")
    found = {tensor.name: [int(side) for side in tensor.shape] for tensor in reader.tensors}
    assert found["token_embd.weight"] == [512, 9000]
    assert found["blk.6.ffn_down.weight"] == [1024, 512]
    assert found["blk.6.attn_k.weight"] == [512, 256]
    assert [path.name for path in tmp_path.iterdir()] == ["wide.gguf"]


def test_an_unknown_shape_is_named_with_those_that_there_are() -> None:
    with pytest.raises(InfillError, match="no shape '2b'") as caught:
        shapes.shape_file("2b")
    assert "0.5b" in caught.value.hint


def test_every_shape_has_room_for_the_bundled_model(inner: Inner) -> None:
    assert all(inner.fits(shape) for shape in shapes.SHAPES.values())
