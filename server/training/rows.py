"""Makes training rows from source texts: windows split into prefix, suffix and middle at random cursor positions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

CHARACTERS_PER_TOKEN = 3.4
PLAIN_SHARE, LINES_SHARE = 0.1, 0.45
"""Share of rows of plain text | of rows whose middle is the rest of a line or a few lines. In all other rows the middle ends anywhere."""
MIDDLE_WEIGHT, FIRST_WEIGHT, FIRST_TOKENS = 3, 8, 3
"""Loss weights: the middle is the text that the model must generate, and its first tokens decide whether the rest can be right."""


@dataclass(frozen=True)
class Shape:
    """Parameters of the rows."""

    context: int
    suffix_first: float = 0.9
    """Share of rows in the order suffix, prefix, middle, which a small model learns far more easily."""
    short_suffix: float = 0.3
    """Share of rows whose suffix is empty or a few tokens, as in a file that is being written."""


def _window(text: str, size: int, rng: random.Random) -> str:
    start = rng.randrange(0, len(text) - size + 1)
    start = 0 if rng.random() < 0.3 else text.rfind("\n", 0, start) + 1
    return text[start : start + size]


def _middle(window: str, whole_lines: bool, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(1, len(window))
    if not whole_lines:
        return start, min(len(window), start + rng.randrange(1, 600))
    end = window.find("\n", start)
    for _ in range(rng.choice((0, 0, 0, 1, 2, 3, 5))):
        following = window.find("\n", end + 1) if end >= 0 else -1
        end = following if following >= 0 else end
    return start, end if end > start else min(len(window), start + 40)


def row(text: str, rng: random.Random, tokenizer: Tokenizer, shape: Shape) -> tuple[list[int], int]:
    """The token ids of one row, and the index of its first middle token."""
    window = _window(text, min(len(text), int(shape.context * CHARACTERS_PER_TOKEN)), rng)
    end, before, between, after = (tokenizer.token_to_id(f"<|{name}|>") for name in ("endoftext", "fim_prefix", "fim_middle", "fim_suffix"))
    kind = rng.random()
    if kind < PLAIN_SHARE:
        ids = [*tokenizer.encode(window).ids, end]
        return ids[: shape.context], len(ids)
    start, stop = _middle(window, kind < PLAIN_SHARE + LINES_SHARE, rng)
    prefix, middle, suffix = (part.ids for part in tokenizer.encode_batch([window[:start], window[start:stop], window[stop:]]))
    prefix = prefix[-int(shape.context * rng.uniform(0.55, 0.9)) :]
    suffix = suffix[: max(0, shape.context - len(prefix) - len(middle) - 4)]
    if rng.random() < shape.short_suffix:
        suffix = suffix[: rng.choice((0, 0, 1, 2, 4, 8, 16, 32))]
    suffix_first = rng.random() < shape.suffix_first
    ids = [after, *suffix, before, *prefix, between] if suffix_first else [before, *prefix, after, *suffix, between]
    return [*ids, *middle, end][: shape.context], len(ids)


def batches(texts: list[str], tokenizer: Tokenizer, size: int, shape: Shape, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches of token ids and token weights, both (size, context). Long texts are chosen more often."""
    rng = random.Random(seed)
    ends = np.cumsum([len(text) for text in texts])
    padding = tokenizer.token_to_id("<|fim_pad|>")
    while True:
        x = np.full((size, shape.context), padding, np.int64)
        weights = np.zeros((size, shape.context), np.float32)
        for number in range(size):
            text = texts[int(np.searchsorted(ends, rng.randrange(int(ends[-1])), side="right"))]
            ids, middle = row(text, rng, tokenizer, shape)
            x[number, : len(ids)] = ids
            weights[number, : len(ids)] = 1
            weights[number, middle : len(ids)] = MIDDLE_WEIGHT
            weights[number, middle : min(middle + FIRST_TOKENS, len(ids))] = FIRST_WEIGHT
        yield torch.from_numpy(x), torch.from_numpy(weights)
