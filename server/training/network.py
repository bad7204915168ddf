"""Qwen2's architecture in plain PyTorch, limited to what llama.cpp runs under that name."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """Attention with grouped keys and rotary positions, followed by a gated feed-forward layer."""

    def __init__(self, d: int, heads: int, kv: int, ff: int) -> None:
        super().__init__()
        self.h, self.kv, self.hd = heads, kv, d // heads
        self.n1, self.n2 = nn.RMSNorm(d, 1e-6), nn.RMSNorm(d, 1e-6)
        self.q, self.k, self.v = (nn.Linear(d, n * self.hd) for n in (heads, kv, kv))
        self.o = nn.Linear(d, d, bias=False)
        self.gate, self.up = nn.Linear(d, ff, bias=False), nn.Linear(d, ff, bias=False)
        self.down = nn.Linear(ff, d, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        B, T, _ = x.shape
        y = self.n1(x)
        q = rotate(self.q(y).view(B, T, self.h, self.hd).transpose(1, 2), cos, sin)
        k = rotate(self.k(y).view(B, T, self.kv, self.hd).transpose(1, 2), cos, sin)
        v = self.v(y).view(B, T, self.kv, self.hd).transpose(1, 2)
        k, v = (t.repeat_interleave(self.h // self.kv, 1) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, -1)
        x = x + self.o(y)
        y = self.n2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Qwen2(nn.Module):
    """The whole model; output and input share their embeddings."""

    def __init__(self, vocab: int, d: int, layers: int, heads: int, kv: int, ff: int, base: float = 10_000.0) -> None:
        super().__init__()
        self.cfg = {"vocab": vocab, "d": d, "layers": layers, "heads": heads, "kv": kv, "ff": ff, "base": base}
        self.emb = nn.Embedding(vocab, d)
        self.blocks = nn.ModuleList(Block(d, heads, kv, ff) for _ in range(layers))
        self.norm = nn.RMSNorm(d, 1e-6)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * layers) if name.endswith(("o.weight", "down.weight")) else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hd = self.cfg["d"] // self.cfg["heads"]
        frequencies = self.cfg["base"] ** (-torch.arange(0, hd, 2, device=ids.device).float() / hd)
        angles = torch.arange(ids.shape[1], device=ids.device).float()[:, None] * frequencies
        x = self.emb(ids)
        for block in self.blocks:
            x = block(x, angles.cos(), angles.sin())
        return F.linear(self.norm(x), self.emb.weight)


def loss_of(model: nn.Module, x: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The weighted training loss, and the loss of the middle alone."""
    logits = model(x[:, :-1])
    losses = F.cross_entropy(logits.float().flatten(0, 1), x[:, 1:].flatten(), reduction="none")
    weights = weights[:, 1:].flatten()
    middle = weights > 2
    return (losses * weights).sum() / weights.sum(), (losses * middle).sum() / middle.sum().clamp(min=1)
