"""The bundled model's tokenizer for the package `tokenizers`: Qwen2's pre-tokenization with Qwen2.5-Coder's special tokens."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gguf
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ("endoftext", "im_start", "im_end", "fim_prefix", "fim_middle", "fim_suffix", "fim_pad", "repo_name", "file_sep")
SPECIAL_TOKENS = [f"<|{name}|>" for name in SPECIAL]
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _bytes_as_in_qwen2(tokenizer: Tokenizer) -> Tokenizer:
    split = pre_tokenizers.Split(Regex(QWEN2_SPLIT), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train_tokenizer(texts: Iterable[str], vocab: int) -> Tokenizer:
    tokenizer = _bytes_as_in_qwen2(Tokenizer(models.BPE()))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab - len(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(SPECIAL_TOKENS)  # after the ordinary tokens, as in Qwen2.5-Coder
    return tokenizer


def read_tokenizer(path: Path) -> Tokenizer:
    reader: Any = gguf.GGUFReader(str(path))
    tokens, merges = (reader.get_field(f"tokenizer.ggml.{name}").contents() for name in ("tokens", "merges"))
    ordinary = {token: number for number, token in enumerate(tokens) if token not in SPECIAL_TOKENS}
    tokenizer = _bytes_as_in_qwen2(Tokenizer(models.BPE(vocab=ordinary, merges=[tuple(merge.split(" ")) for merge in merges])))
    tokenizer.add_special_tokens(SPECIAL_TOKENS)
    if tokenizer.get_vocab() != {token: number for number, token in enumerate(tokens)}:
        raise SystemExit(f"{path} has another vocabulary than this program makes.")
    return tokenizer
