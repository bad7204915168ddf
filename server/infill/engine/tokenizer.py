"""Tokenizes texts that change in their last line with each keystroke: the lines before are not tokenized again. No llama.cpp.

Whether a vocabulary allows splitting at line breaks is tested: many join a line break with the indentation after it.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence

PIECES, LONGEST_PIECE = 32, 2000
"""Number of cached pieces of conversations, and characters of the longest one."""
REMEMBERED = 16
"""Number of cached texts: those before and after the cursor in the current documents."""
SAMPLE = """class A:
    x = {'a': 1,}  # é

    def f(self):
\t\treturn [
            1.5,


        ]
}

  <p>
  </p>
#include <b>
"""


class Tokenizer:
    """Tokenizes a text with the same result as the vocabulary for the whole text."""

    def __init__(self, tokenize: Callable[[str], list[int]]) -> None:
        self._tokenize = tokenize
        self._known: OrderedDict[str, list[int]] = OrderedDict()
        self._spaced = len(tokenize("\n")) > 1
        self._cuts = all(_same_when_cut(tokenize, SAMPLE[:end]) for end in range(len(SAMPLE), 0, -11))

    def __call__(self, text: str) -> list[int]:
        if not self._cuts:
            return self._tokenize(text)
        last = text.rfind("\n") + 1
        if not _may_begin(text, last):
            return self._tokenize(text)
        return [*self._lines(text[:last]), *self._tokenize(text[last:])]

    def after(self, text: str) -> list[int]:
        """Tokens of a text that is not the start of a prompt: without the space that SentencePiece vocabularies add to every text."""
        if not self._spaced:
            return self(text)
        line_break, whole = self._tokenize("\n"), self._tokenize(f"\n{text}")
        return whole[len(line_break) :] if whole[: len(line_break)] == line_break else self._tokenize(text)

    def _lines(self, text: str) -> list[int]:
        known = self._known.get(text)
        if known is None:
            begun = max((old for old in self._known if text.startswith(old) and _may_begin(text, len(old))), key=len, default="")
            known = [*self._known.get(begun, ()), *self._tokenize(text[len(begun) :])]
        self._known[text] = known
        self._known.move_to_end(text)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return known


def joins_indentation(tokenize: Callable[[str], list[int]], piece: Callable[[int], bytes]) -> bool:
    """Whether one token may hold a line break and the indentation after it. By GPT-2's rule, a line break before code is rarely its own token."""
    return any(b"\n" in text and text.strip(b"\r\n") for text in map(piece, tokenize("a\n        b")))


class Remembered:
    """Tokenizes a conversation's pieces. Most are the same in every request (template, system message), so their tokens are cached."""

    def __init__(self, tokenize: Callable[[str, bool], list[int]]) -> None:
        self._tokenize = tokenize
        self._known = functools.lru_cache(maxsize=PIECES)(tokenize)

    def __call__(self, text: str, special: bool = False) -> Sequence[int]:
        """`special`: names of special tokens in the text become those tokens. The result is shared and must not be changed."""
        return self._known(text, special) if len(text) <= LONGEST_PIECE else self._tokenize(text, special)


def _may_begin(text: str, at: int) -> bool:
    """Whether a token may start there: a line break is joined with those of the empty lines after it."""
    following = text[at : at + 200]
    blank = following[: len(following) - len(following.lstrip())]
    return len(blank) < 200 and "\n" not in blank and "\r" not in blank


def _same_when_cut(tokenize: Callable[[str], list[int]], text: str) -> bool:
    cuts = [at for at in range(1, len(text)) if text[at - 1] == "\n" and _may_begin(text, at)]
    cuts.append(text.rfind("\n") + 1)
    whole = tokenize(text)
    return all([*tokenize(text[:at]), *tokenize(text[at:])] == whole for at in cuts)
