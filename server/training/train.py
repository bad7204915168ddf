"""Trains a small fill-in-the-middle model on Python source and writes it as GGUF: `python train.py OUT --minutes 80`. See README.md."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import nn

import gguf_file
import vocabulary
from corpus import HELD, read_texts, sources, without_header
from network import Qwen2, loss_of
from rows import Shape, batches

Batch = tuple[torch.Tensor, torch.Tensor]
WARM_UP_STEPS, FLAT_SHARE, LOWEST_RATE = 150, 0.3, 0.02
"""Steps until the full learning rate | share of the time at the full rate | final rate as a share of the full rate."""
REPORT_SECONDS, VALIDATE_STEPS, VALIDATE_BATCHES = 60, 500, 8


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for tokenizer.json, model.pt, tiny-f16.gguf, held.json")
    parser.add_argument("--minutes", type=float, default=80)
    shape = {"vocab": 8192, "d": 256, "layers": 6, "heads": 4, "kv": 2, "ff": 640, "ctx": 768, "batch": 16, "accum": 1, "seed": 0, "threads": 2}
    for name, value in shape.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--short-suffix", type=float, default=0.3, help="share of rows with hardly any suffix")
    parser.add_argument("--spm", type=float, default=0.9, help="share of rows in the order suffix, prefix, middle")
    parser.add_argument("--compile", action="store_true", help="torch.compile: worth its minute of start on a GPU")
    parser.add_argument("--init", type=Path, metavar="GGUF", help="an unquantized GGUF of the same shape to start from")
    parser.add_argument("--resume", type=Path, metavar="model.pt", help="weights to go on from, with a new schedule of the learning rate")
    parser.add_argument("--exclude", type=Path, metavar="HELD", default=HELD, help="JSON list of texts never to train on")
    return parser.parse_args()


def read_corpus(exclude: Path) -> tuple[list[str], list[str]]:
    """The training texts and the held-out texts: those in `exclude`, and a share of the others."""
    excluded = set(read_texts(exclude))
    texts: list[str] = []
    held: list[str] = []
    for source in sources():
        if source.text in excluded or source.held:  # compares the whole text, so that files stay held out whatever is removed from their head
            held.append(source.text)
        else:
            texts.append(without_header(source.text))
    return texts, held


def tokenizer_for(a: argparse.Namespace, texts: list[str]) -> Tokenizer:
    file = a.out / "tokenizer.json"
    if a.init:
        tokenizer = vocabulary.read_tokenizer(a.init)
    elif file.exists():
        return Tokenizer.from_file(str(file))
    else:
        tokenizer = vocabulary.train_tokenizer(texts, a.vocab)
    tokenizer.save(str(file))
    return tokenizer


def model_for(a: argparse.Namespace, vocab: int, device: str) -> Qwen2:
    model = Qwen2(vocab, a.d, a.layers, a.heads, a.kv, a.ff)
    model.to(device)
    if a.resume:
        model.load_state_dict(torch.load(a.resume))
    if a.init:
        model.load_state_dict(gguf_file.read_weights(a.init, a.layers))
    return model


def optimizers(model: Qwen2, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, AdamW for embeddings, norms and biases."""
    matrices = [p for p in model.blocks.parameters() if p.dim() == 2]
    others = [p for name, p in model.named_parameters() if p.dim() != 2 or name == "emb.weight"]
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def rate_at(share: float, step: int, rate: float) -> float:
    """The learning rate: warm-up, then constant, then linear decay to LOWEST_RATE."""
    down = 1.0 if share < FLAT_SHARE else max(LOWEST_RATE, (1 - share) / (1 - FLAT_SHARE))
    return rate * min(1.0, (step + 1) / WARM_UP_STEPS) * down


class Training:
    """The training loop: stops after the given minutes, reports once a minute and saves the weights at every validation."""

    def __init__(self, a: argparse.Namespace, model: Qwen2, data: Iterator[Batch], held: list[Batch], device: str) -> None:
        self.a, self.model, self.data, self.held, self.device = a, model, data, held, device
        self.loss_fn: Callable[..., tuple[torch.Tensor, torch.Tensor]] = torch.compile(loss_of) if a.compile else loss_of
        self.optimizers = optimizers(model, a.lr)
        self.started = self.reported = time.time()
        self.step = self.tokens = 0
        self.loss: float | None = None

    def run(self) -> None:
        while (share := (time.time() - self.started) / (60 * self.a.minutes)) < 1:
            rate = rate_at(share, self.step, self.a.lr)
            loss = self._step(rate)
            self.step += 1
            self.loss = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
            if time.time() - self.reported > REPORT_SECONDS:
                self._report(rate)
            if self.step % VALIDATE_STEPS == 0:
                self._validate()

    def _step(self, rate: float) -> float:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        for _ in range(self.a.accum):
            x, weights = (tensor.to(self.device) for tensor in next(self.data))
            with torch.autocast(self.device, torch.bfloat16):
                loss, _ = self.loss_fn(self.model, x, weights)
            (loss / self.a.accum).backward()
            self.tokens += x.numel()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(loss.item())

    def _report(self, rate: float) -> None:
        self.reported = time.time()
        seconds = self.reported - self.started
        speed = f"{self.tokens / 1e6:.2f}M tokens, {self.tokens / seconds:.0f}/s"
        print(f"{seconds / 60:5.1f} min, step {self.step}, {speed}, loss {self.loss:.3f}, rate {rate:.2e}", flush=True)

    def _validate(self) -> None:
        with torch.no_grad(), torch.autocast(self.device, torch.bfloat16):
            losses = [loss_of(self.model, x.to(self.device), weights.to(self.device)) for x, weights in self.held]
        whole, middle = (sum(pair[part].item() for pair in losses) / len(losses) for part in (0, 1))
        print(f"      held out: loss {whole:.3f}, of the middle {middle:.3f}", flush=True)
        torch.save(self.model.state_dict(), self.a.out / "model.pt")


def main() -> None:
    a = options()
    a.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    texts, held = read_corpus(a.exclude)
    tokenizer = tokenizer_for(a, texts)
    sample = "".join(held)[:300_000]
    density = len(sample) / len(tokenizer.encode(sample).ids)
    print(f"{len(texts)} files, {sum(map(len, texts)) / 1e6:.1f} MB, {len(held)} held out, {density:.2f} characters a token", flush=True)
    model = model_for(a, tokenizer.get_vocab_size(), device)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters on {device}", flush=True)
    shape = Shape(context=a.ctx, suffix_first=a.spm, short_suffix=a.short_suffix)
    validation = batches(held, tokenizer, a.batch, shape, 99)
    training = Training(a, model, batches(texts, tokenizer, a.batch, shape, a.seed), [next(validation) for _ in range(VALIDATE_BATCHES)], device)
    training.run()
    (a.out / "held.json").write_text(json.dumps(held), "utf-8")
    torch.save(model.state_dict(), a.out / "model.pt")
    gguf_file.write(model, tokenizer, a.out / "tiny-f16.gguf", "infill-tiny-python", a.ctx)


if __name__ == "__main__":
    main()
