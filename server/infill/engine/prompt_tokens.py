"""From the parts of a prompt to tokens: the model's own fill-in-the-middle tokens, its order, and an exact budget. No llama.cpp here.

A model without such tokens continues the prefix (order "prefix"): its prompt has no suffix.

User text is never read for special tokens: code that contains `<|fim_middle|>` stays text. What is cut to fit is cut in steps, so that the window
stands still while somebody types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from typing import Literal, Protocol

import msgspec

from infill import continuation
from infill.ask import Message, Piece, Snippet
from infill.engine import conversation

SUFFIX_SHARE = 0.3
"""Of a window that is too small for everything, what the text after the cursor may take: the text before it tells the model more."""
STEPS = 8
"""A cut moves by an eighth of its part's budget, so that one line typed does not move it."""

FillOrder = Literal["psm", "spm"]
Order = Literal[FillOrder, "prefix"]


class Vocabulary(Protocol):
    """What of a model is asked here."""

    @property
    def adds_bos(self) -> bool: ...

    def special(self, name: str) -> int: ...

    def metadata(self, key: str) -> str: ...


class Fim(msgspec.Struct, frozen=True, kw_only=True):
    """A model's fill-in-the-middle tokens (-1: it has none) and the order that it was trained in."""

    order: Order
    prefix: int
    suffix: int
    middle: int
    separator: int = -1
    bos: int = -1

    @property
    def fills(self) -> bool:
        """False for a model that only continues the text before the cursor."""
        return self.order != "prefix"


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt's parts, as tokens."""

    prefix: Sequence[int]
    suffix: Sequence[int]
    header: Sequence[int] = ()
    """Text from elsewhere, ready to stand before everything."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that prompts may take."""

    total: int
    suffix: int
    """What the suffix may take of it when there is not room for all."""


class Chat(msgspec.Struct, frozen=True):
    """A conversation, ready for the answer."""

    tokens: list[int]
    opened: str = ""
    """The mark of a reasoning block that the template has opened: the answer begins inside of it."""


Render = Callable[[list[dict[str, str]]], Generator[None, None, str]]


def budget(total: int) -> Budget:
    return Budget(total=max(8, total), suffix=int(max(8, total) * SUFFIX_SHARE))


def fim_of(vocabulary: Vocabulary, named_order: str) -> Fim:
    """The model's fill-in-the-middle tokens and order; order "prefix" where its vocabulary does not have them all."""
    prefix, suffix, middle = (vocabulary.special(f"fim_{name}") for name in ("pre", "suf", "mid"))
    order = vocabulary.metadata("infill.fim_order") or named_order or "psm"
    order_known: FillOrder = "spm" if order == "spm" else "psm"
    # suffix-first models may go straight on after the prefix (Codestral); prefix-first ones need the token that says "now the middle"
    bos = vocabulary.special("bos") if vocabulary.adds_bos else -1
    if prefix < 0 or suffix < 0 or (middle < 0 and order_known == "psm"):
        return Fim(order="prefix", prefix=-1, suffix=-1, middle=-1, bos=bos)
    return Fim(order=order_known, prefix=prefix, suffix=suffix, middle=middle, separator=vocabulary.special("fim_sep"), bos=bos)


def join(fim: Fim, parts: Parts) -> list[int]:
    """The whole prompt, in the model's order."""
    start = [fim.bos] if fim.bos >= 0 else []
    if not fim.fills:
        return [*start, *parts.header, *parts.prefix]
    middle = [fim.middle] if fim.middle >= 0 else []
    if fim.order == "spm":
        return [*start, *parts.header, fim.suffix, *parts.suffix, fim.prefix, *parts.prefix, *middle]
    return [*start, *parts.header, fim.prefix, *parts.prefix, fim.suffix, *parts.suffix, *middle]


def overhead(fim: Fim) -> int:
    """Tokens of a prompt that are nobody's text."""
    return 2 * fim.fills + (fim.middle >= 0) + (fim.bos >= 0)


def half_typed(prefix: Sequence[int], piece: Callable[[int], bytes], joins: bool = False) -> bytes:
    """The text of the last token before the cursor, where it may be the beginning of a longer one; else empty.

    At the start of a line only for a vocabulary that `joins` a line break with the indentation after it.
    """
    text = piece(prefix[-1]) if prefix else b""
    return b"" if b"\n" in text and not (joins and text.endswith(b"\n")) else text


def header(fim: Fim, snippets: Sequence[Snippet], path: str, tokenize: Callable[[str], list[int]]) -> list[int]:
    """Snippets as files of the same repository, then the path of the document; nothing for models that know no file separator.

    For a model that only continues, both are comments.
    """
    if not fim.fills:
        return tokenize(continuation.comments(path, snippets))
    if fim.separator < 0 or not snippets:
        return []
    tokens: list[int] = []
    for snippet in snippets:
        tokens += [fim.separator, *tokenize(f"{snippet.path}\n{snippet.text}\n")]
    return [*tokens, fim.separator, *tokenize(f"{path or 'untitled'}\n")]


def pieces(
    parts: Sequence[Piece],
    tokenize: Callable[[str], list[int]],
    after: Callable[[str], list[int]],
    special: Callable[[str, bool], Sequence[int]],
    bos: int = -1,
) -> tuple[list[int], frozenset[int]]:
    """A prompt in a model's own format, and its control tokens. `after` tokenizes what is not the prompt's beginning; `bos`: -1 for none.

    A control token that the vocabulary does not have as one token is written as text, which is what a tokenizer of the whole prompt would do.
    """
    tokens: list[int] = [bos] if bos >= 0 else []
    controls: set[int] = set()
    for piece in parts:
        control = list(special(piece.control, True)) if piece.control else []
        if len(control) == 1:
            controls.add(control[0])
            tokens += control
            text = piece.text
        else:
            text = piece.control + piece.text
        if text:
            tokens += after(text) if tokens else tokenize(text)
    return tokens, frozenset(controls)


def chat(messages: Sequence[Message], render: Render, tokenize: Callable[[str, bool], Sequence[int]], bos: int = -1) -> Generator[None, None, Chat]:
    """A conversation in the model's own template: special tokens are those of the template, never what a person wrote.

    The template is rendered with marks in place of the messages' texts, which are then tokenized on their own. Yields while it is rendered.
    `bos` is put first where the template does not write it (-1: the model has none).
    """
    marks = [f"\ue000{number}\ue001" for number in range(len(messages))]
    text = yield from render([{"role": message.role, "content": mark} for message, mark in zip(messages, marks, strict=True)])
    tokens: list[int] = []
    for piece in re.split("(\ue000[0-9]+\ue001)", text):
        if piece in marks:
            tokens += tokenize(messages[marks.index(piece)].content, False)
        else:
            tokens += tokenize(piece, True)
    if bos >= 0 and tokens[:1] != [bos]:
        tokens.insert(0, bos)
    return Chat(tokens, conversation.opened(text))


def fit(parts: Parts, allowed: Budget, previous_suffix: Sequence[int] = ()) -> tuple[Parts, tuple[str, ...]]:
    """Cut the parts to the budget: the prefix at its start, the suffix at its end, both in steps; and say what was cut.

    `previous_suffix` is what the slot had last time: where its end is still within the budget, the cut stays there.
    """
    notes = []
    head, prefix, suffix = parts.header, parts.prefix, parts.suffix
    if len(head) > allowed.total // 2:
        notes.append("context left out: no room")
        head = ()
    room = allowed.total - len(head)
    if len(prefix) + len(suffix) > room:
        most_suffix = max(min(allowed.suffix, room), room - len(prefix))
        suffix = _cut_end(suffix, most_suffix, previous_suffix)
        prefix = _cut_start(prefix, room - len(suffix))
        notes.append(f"trimmed to {len(prefix)} of {len(parts.prefix)} tokens before the cursor and {len(suffix)} of {len(parts.suffix)} after it")
    return Parts(prefix=prefix, suffix=suffix, header=head), tuple(notes)


def _cut_start(tokens: Sequence[int], most: int) -> Sequence[int]:
    if len(tokens) <= most:
        return tokens
    step = max(1, most // STEPS)
    return tokens[-(-(len(tokens) - most) // step) * step :]


def _cut_end(tokens: Sequence[int], most: int, previous: Sequence[int]) -> Sequence[int]:
    if len(tokens) <= most:
        return tokens
    step = max(1, most // STEPS)
    mark = list(previous[-8:])
    if mark:
        for end in range(most, max(len(mark), most - step) - 1, -1):
            if list(tokens[end - len(mark) : end]) == mark:
                return tokens[:end]
    return tokens[:most]
