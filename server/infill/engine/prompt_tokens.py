"""Converts the parts of a prompt to tokens: with the model's own fill-in-the-middle tokens, in its order, within an exact budget. No llama.cpp.

A model without such tokens continues the prefix (order "prefix"): its prompt has no suffix.

Special tokens in user text are not parsed: code that contains `<|fim_middle|>` stays text. Parts are cut in steps, so that the window does not
move with every keystroke.
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
"""Share of the suffix in a window that is too small for all parts. The prefix is more useful to the model."""
STEPS = 8
"""A cut moves by 1/STEPS of its part's budget, so that typing one line does not move it."""

FillOrder = Literal["psm", "spm"]
Order = Literal[FillOrder, "prefix"]


class Vocabulary(Protocol):
    """What this module needs of a model."""

    @property
    def adds_bos(self) -> bool: ...

    def special(self, name: str) -> int: ...

    def metadata(self, key: str) -> str: ...


class Fim(msgspec.Struct, frozen=True, kw_only=True):
    """A model's fill-in-the-middle tokens (-1 for a missing one) and the order in which it was trained."""

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
    """Text from elsewhere in the project, already formatted, for the start of the prompt."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Maximum numbers of prompt tokens."""

    total: int
    suffix: int
    """Tokens of the suffix when the parts do not all fit."""


class Chat(msgspec.Struct, frozen=True):
    """A conversation, ready for the answer."""

    tokens: list[int]
    opened: str = ""
    """The opening tag of a reasoning block at the end of the rendered template: the answer begins inside the block."""


Render = Callable[[list[dict[str, str]]], Generator[None, None, str]]


def budget(total: int) -> Budget:
    return Budget(total=max(8, total), suffix=int(max(8, total) * SUFFIX_SHARE))


def fim_of(vocabulary: Vocabulary, named_order: str) -> Fim:
    """The model's fill-in-the-middle tokens and order; order "prefix" if its vocabulary does not have all of them."""
    prefix, suffix, middle = (vocabulary.special(f"fim_{name}") for name in ("pre", "suf", "mid"))
    order = vocabulary.metadata("infill.fim_order") or named_order or "psm"
    order_known: FillOrder = "spm" if order == "spm" else "psm"
    # suffix-first models may continue directly after the prefix (Codestral); prefix-first models need the token that starts the middle
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
    """Number of control tokens in a prompt."""
    return 2 * fim.fills + (fim.middle >= 0) + (fim.bos >= 0)


def half_typed(prefix: Sequence[int], piece: Callable[[int], bytes], joins: bool = False) -> bytes:
    """The text of the last token before the cursor, if it may be the beginning of a longer token; else empty.

    At the start of a line this applies only to a vocabulary that `joins` a line break with the indentation after it.
    """
    text = piece(prefix[-1]) if prefix else b""
    return b"" if b"\n" in text and not (joins and text.endswith(b"\n")) else text


def header(fim: Fim, snippets: Sequence[Snippet], path: str, tokenize: Callable[[str], list[int]]) -> list[int]:
    """Snippets as files of the same repository, then the path of the document; empty for models without a file separator.

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
    """A prompt in a model's own format, and its control tokens. `after` tokenizes text after the prompt's beginning; `bos`: -1 for none.

    A control token that the vocabulary does not have as one token is written as text, as a tokenizer of the whole prompt would do.
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
    """A conversation in the model's own template: only the template's special tokens are parsed, never those in messages.

    The template is rendered with placeholders for the messages' texts, which are tokenized separately. Yields during rendering. `bos` is put
    first if the template does not write it (-1: the model has none).
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
    """Cut the parts to the budget, in steps: the prefix at its start, the suffix at its end. Returns the parts, and notes on what was cut.

    `previous_suffix` is the slot's last suffix: if its end is still within the budget, the cut stays there.
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
