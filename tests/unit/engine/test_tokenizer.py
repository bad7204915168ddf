"""What is typed is cut into the same tokens as the whole text would be, with most of them remembered."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infill.engine.llama import Model
from infill.engine.tokenizer import Remembered, Tokenizer
from infill.models.fit import Plan
from infill.models.store import locate

QWEN = re.compile(r"[^\r\n\w]?[^\W\d]+|\d| ?[^\s\w]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
GPT2 = re.compile(r" ?[^\W\d]+| ?\d+| ?[^\s\w]+|\s+(?!\S)|\s+")
PIECES = st.sampled_from(["\n", "\n\n", "\r\n", "    ", "\t", " ", "x", "def f(a):", "{", "}", "# é", "'", "1.5", ",\n", "  \n", "\f", "\r"])


class Vocabulary:
    """Splits a text as a real pre-tokenizer does, and counts what it was asked."""

    def __init__(self, rule: re.Pattern[str]) -> None:
        self._rule = rule
        self._ids: dict[str, int] = {}
        self.characters = 0

    def __call__(self, text: str) -> list[int]:
        self.characters += len(text)
        return [self._ids.setdefault(piece, len(self._ids)) for piece in self._rule.findall(text)]


@pytest.mark.parametrize("rule", [QWEN, GPT2])
@given(edits=st.lists(st.tuples(st.integers(0, 12), PIECES), max_size=30))
@settings(deadline=None)
def test_however_a_text_is_edited_its_tokens_are_those_of_the_whole(rule: re.Pattern[str], edits: list[tuple[int, str]]) -> None:
    vocabulary, text = Vocabulary(rule), "class A:\n    x = 1\n"
    tokenizer = Tokenizer(vocabulary)
    for removed, added in edits:
        text = text[: len(text) - removed] + added
        assert tokenizer(text) == vocabulary(text)


def test_a_key_is_turned_into_tokens_without_the_lines_before_it() -> None:
    vocabulary = Vocabulary(QWEN)
    tokenizer = Tokenizer(vocabulary)
    tokenizer("value = 1\n" * 100 + "    ret")
    vocabulary.characters = 0
    tokenizer("value = 1\n" * 100 + "    retu")
    tokenizer("value = 1\n" * 100 + "    return x\n    y")
    assert vocabulary.characters < 40


def test_a_vocabulary_that_joins_lines_is_given_whole_texts() -> None:
    vocabulary = Vocabulary(GPT2)
    tokenizer = Tokenizer(vocabulary)
    vocabulary.characters = 0
    tokenizer("a\n    b")
    assert vocabulary.characters == len("a\n    b")


def test_the_bundled_model_lets_its_texts_be_cut() -> None:
    model = Model(locate("local:bundled").path, Plan(), lambda done: True)
    try:
        asked: list[str] = []

        def tokenize(text: str) -> list[int]:
            asked.append(text)
            return model.tokenize(text)

        tokenizer = Tokenizer(tokenize)
        tokenizer("import os\n\n\nclass A:\n    def f(self):\n        ret")
        asked.clear()
        text = "import os\n\n\nclass A:\n    def f(self):\n        return"
        assert tokenizer(text) == model.tokenize(text)
        assert asked == ["        return"]
    finally:
        model.close()


@given(asked=st.lists(st.tuples(PIECES, st.booleans()), max_size=40))
@settings(deadline=None)
def test_remembered_pieces_of_a_conversation_are_those_of_the_vocabulary(asked: list[tuple[str, bool]]) -> None:
    def tokenize(text: str, special: bool) -> list[int]:
        return [len(text), int(special)]

    remembered = Remembered(tokenize)
    assert [list(remembered(text, special)) for text, special in asked] == [tokenize(text, special) for text, special in asked]


def test_only_short_pieces_of_a_conversation_are_remembered() -> None:
    counted: list[int] = []

    def tokenize(text: str, special: bool) -> list[int]:
        counted.append(len(text))
        return [1]

    remembered = Remembered(tokenize)
    for text in ("You write code.", "x" * 5000, "You write code.", "x" * 5000):
        remembered(text, False)
    assert counted == [15, 5000, 5000]
