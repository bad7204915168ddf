"""Vocabularies of well-known models: tokens are their makers' own, whatever is cached or healed, and control tokens have their published ids."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llama_cpp
import pytest

from infill.ask import Snippet
from infill.engine import prompt_tokens
from infill.engine.llama import Model, capture_log
from infill.engine.prompt_tokens import Parts, budget, fim_of, fit, half_typed, header, join
from infill.engine.tokenizer import Tokenizer, joins_indentation
from infill.models import gguf_header
from infill.providers import families

SEPARATOR = "\n__ggml_vocab_test__\n"
NAMES = ("qwen2", "deepseek-coder", "starcoder", "llama-bpe", "gpt-2", "phi-3", "llama-spm", "refact", "falcon", "command-r", "gemma-4")
QWEN_CODER = {
    151646: "<|object_ref_start|>",
    151659: "<|fim_prefix|>",
    151660: "<|fim_middle|>",
    151661: "<|fim_suffix|>",
    151662: "<|fim_pad|>",
    151663: "<|repo_name|>",
    151664: "<|file_sep|>",
}
"""As in tokenizer_config.json of Qwen/Qwen2.5-Coder-7B: the same vocabulary, and names in place of Qwen2's padding."""
CONTROL = 3
CODE = """import os
from pathlib import Path


class Röhre:
    def __init__(self, größe: int) -> None:
        self.größe = größe\t# µm

    def paths(self) -> list[Path]:
        found = [Path(name) for name in os.listdir(".") if name.endswith(".py")]


        return sorted(found)
"""


class VocabularyOnly(Model):
    """The vocabulary of a file, without weights."""

    def __init__(self, path: Path) -> None:
        capture_log()
        llama_cpp.llama_backend_init()
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        assert self._model, path.name
        self._vocab: Any = llama_cpp.llama_model_get_vocab(self._model)
        self._pieces = {}

    def words(self) -> set[str]:
        return {self._text_of(token) for token in range(llama_cpp.llama_vocab_n_tokens(self._vocab))}

    def text(self, tokens: list[int]) -> bytes:
        return b"".join(map(self.piece, tokens))


Load = Callable[[str], VocabularyOnly]


@pytest.fixture(scope="module")
def load(vocabularies: Path) -> Iterator[Load]:
    loaded: dict[str, VocabularyOnly] = {}

    def load(name: str) -> VocabularyOnly:
        if name not in loaded:
            loaded[name] = VocabularyOnly(vocabularies / f"ggml-vocab-{name}.gguf")
        return loaded[name]

    yield load
    for vocabulary in loaded.values():
        vocabulary.close()


@pytest.fixture(scope="module")
def qwen(vocabularies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VocabularyOnly]:
    """The vocabulary of Qwen2.5-Coder: Qwen2's, with the names that padding has there."""
    data = (vocabularies / "ggml-vocab-qwen2.gguf").read_bytes()
    for token, name in QWEN_CODER.items():
        padding = f"[PAD{token}]".encode()
        data = data.replace(struct.pack("<Q", len(padding)) + padding, struct.pack("<Q", len(name)) + name.encode())
    kinds = data.index(b"tokenizer.ggml.token_type") + len("tokenizer.ggml.token_type") + 4 + 4 + 8
    for token in QWEN_CODER:
        at = kinds + 4 * token
        data = data[:at] + struct.pack("<i", CONTROL) + data[at + 4 :]
    file = tmp_path_factory.mktemp("qwen") / "qwen2.5-coder.gguf"
    file.write_bytes(data)
    vocabulary = VocabularyOnly(file)
    yield vocabulary
    vocabulary.close()


def references(vocabularies: Path, name: str) -> list[tuple[str, list[int]]]:
    file = vocabularies / f"ggml-vocab-{name}.gguf"
    texts = Path(f"{file}.inp").read_text(encoding="utf-8").split(SEPARATOR)
    tokens = [[int(token) for token in line.split()] for line in Path(f"{file}.out").read_text().splitlines()]
    return list(zip(texts, tokens, strict=False))  # some files end with one more, empty text


@pytest.mark.parametrize("name", NAMES)
def test_texts_become_the_tokens_of_the_models_makers_and_texts_again(name: str, vocabularies: Path, load: Load) -> None:
    vocabulary, known = load(name), references(vocabularies, name)
    tokenizer = Tokenizer(vocabulary.tokenize)
    assert len(known) > 40
    for text, tokens in known:
        assert vocabulary.tokenize(text) == tokens
        assert tokenizer(text) == tokens, "and so where the lines before are remembered"
        assert vocabulary.text(tokens).decode() in {text, f" {text}"}, "some vocabularies begin every text with a space"
        assert vocabulary.text(tokenizer.after(text)).decode() == text


@pytest.mark.parametrize("name", NAMES)
def test_tokens_of_code_that_is_typed_are_those_of_the_whole(name: str, load: Load) -> None:
    vocabulary = load(name)
    tokenizer = Tokenizer(vocabulary.tokenize)
    for end in [*range(0, len(CODE), 3), len(CODE)]:
        assert tokenizer(CODE[:end]) == vocabulary.tokenize(CODE[:end])
        assert tokenizer(CODE[end:]) == vocabulary.tokenize(CODE[end:])


def test_lines_of_qwen_are_remembered_and_lines_of_vocabularies_that_join_them_are_not(load: Load) -> None:
    cut = {name: Tokenizer(load(name).tokenize)._cuts for name in NAMES}
    assert cut == {name: name in {"qwen2", "deepseek-coder", "llama-bpe", "gpt-2", "gemma-4"} for name in NAMES}
    joined = {name for name in NAMES if joins_indentation(load(name).tokenize, load(name).piece)}
    assert joined == {"starcoder", "refact", "falcon", "command-r"}


@pytest.mark.parametrize("name", NAMES)
def test_a_half_typed_word_and_the_tokens_before_it_are_the_whole_text(name: str, load: Load) -> None:
    vocabulary = load(name)
    joins = joins_indentation(vocabulary.tokenize, vocabulary.piece)
    for end in range(1, len(CODE)):
        tokens = vocabulary.tokenize(CODE[:end])
        owed = half_typed(tokens, vocabulary.piece, joins)
        kept = tokens[:-1] if owed else tokens
        assert (vocabulary.text(kept) + owed).decode("utf-8", "replace").lstrip(" ") == CODE[:end]
        assert b"\n" not in owed or (joins and CODE[:end].endswith("\n"))


def test_a_prompt_for_qwen_has_the_published_form_and_ids(qwen: VocabularyOnly) -> None:
    fim = fim_of(qwen, "")
    assert (fim.order, fim.prefix, fim.suffix, fim.middle, fim.separator) == ("psm", 151659, 151661, 151660, 151664)
    before, after = CODE[:150], CODE[150:]
    head = header(fim, [Snippet("a.py", "x = 1")], "b.py", qwen.tokenize)
    tokens = join(fim, Parts(prefix=qwen.tokenize(before), suffix=qwen.tokenize(after), header=head))
    files = "<|file_sep|>a.py\nx = 1\n<|file_sep|>b.py\n"
    assert tokens == qwen.tokenize(f"{files}<|fim_prefix|>{before}<|fim_suffix|>{after}<|fim_middle|>", True)
    assert prompt_tokens.overhead(fim) == len(tokens) - len(head) - len(qwen.tokenize(before)) - len(qwen.tokenize(after))


def test_names_of_control_tokens_in_code_stay_text(qwen: VocabularyOnly) -> None:
    for name in QWEN_CODER.values():
        tokens = qwen.tokenize(f"print('{name}')")
        assert not set(tokens) & set(QWEN_CODER)
        assert qwen.text(tokens).decode() == f"print('{name}')"


def test_windows_of_real_tokens_stand_still_while_a_line_is_typed(qwen: VocabularyOnly) -> None:
    lines = "".join(f"    value_{number} = self.compute({number}, größe)\n" for number in range(200))
    above, below = f"class A:\n{lines}", qwen.tokenize(f"\n{lines}")
    tokenizer, starts, previous = Tokenizer(qwen.tokenize), set(), None
    for typed in ("", "    ", "    ret", "    return", "    return self", "    return self.value_1"):
        tokens = tokenizer(above + typed)
        parts, _ = fit(Parts(prefix=tokens, suffix=below), budget(1000), previous.suffix if previous else ())
        assert len(parts.prefix) + len(parts.suffix) <= 1000
        assert previous is None or parts.suffix == previous.suffix
        starts.add(len(tokens) - len(parts.prefix))
        previous = parts
    assert len(starts) == 1


@pytest.mark.parametrize("name", [*NAMES, "qwen"])
def test_the_header_of_a_file_and_its_vocabulary_agree_on_filling_in(name: str, vocabularies: Path, load: Load, qwen: VocabularyOnly) -> None:
    if name == "qwen":
        assert fim_of(qwen, "").fills
        return
    words = gguf_header.read_header(vocabularies / f"ggml-vocab-{name}.gguf").metadata["tokenizer.ggml.tokens"]
    assert fim_of(load(name), "").fills == ({"prefix", "suffix", "middle"} <= words.fim) == (name in {"deepseek-coder", "starcoder", "refact"})


def test_a_family_is_recognized_by_its_tokens_alone(load: Load, qwen: VocabularyOnly) -> None:
    found = {name: families.recognize(load(name).words()) for name in NAMES}
    named = {name: family.name for name, family in found.items() if family}
    assert named == {"deepseek-coder": "deepseek", "starcoder": "starcoder"}
    family = families.recognize(qwen.words())
    assert family is not None
    assert family.name == "qwen"
