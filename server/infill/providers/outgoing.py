"""What of a prompt may leave for a remote provider: cut to what its server takes, and without secrets. Pure but for the rules' first import."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from infill.ask import Message, Prompt, Snippet
from infill.privacy import secrets
from infill.providers.base import Limits

SPREAD = 0.4
"""Temperature of all candidates but the first, at least: without it they would all be the same."""


def presentable(prompt: Prompt, limits: Limits) -> tuple[Prompt, int]:
    """The prompt as it may leave: cut to what a server takes, and without secrets (whose number is told)."""
    prefix = _tail(prompt.prefix, int(limits.prefix_tokens * limits.chars_per_token))
    suffix = prompt.suffix[: int(limits.suffix_tokens * limits.chars_per_token)]
    prefix, suffix, found = secrets.mask_around(prefix, suffix, prompt.path)
    room = int(limits.snippet_tokens * limits.chars_per_token)
    snippets: list[Snippet] = []
    for piece in prompt.snippets:
        room -= len(piece.text)
        if room < 0:
            break
        text, number = secrets.mask(piece.text, piece.path)
        found += number
        snippets.append(Snippet(piece.path, text))
    return msgspec.structs.replace(prompt, prefix=prefix, suffix=suffix, snippets=tuple(snippets)), found


def masked(messages: Sequence[Message]) -> tuple[tuple[Message, ...], int]:
    """A conversation without secrets, and how many there were."""
    found = [secrets.mask(turn.content) for turn in messages]
    turns = tuple(msgspec.structs.replace(turn, content=text) for turn, (text, _) in zip(messages, found, strict=True))
    return turns, sum(number for _, number in found)


def note(found: int) -> tuple[str, ...]:
    """What the notes of an answer say of it."""
    return (f"{found} secret{'s' if found > 1 else ''} masked",) if found else ()


def candidates(prompt: Prompt) -> list[Prompt]:
    """The prompt as often as candidates are wanted, all but the first made to differ."""
    first = prompt.sampling
    others = (
        msgspec.structs.replace(prompt, sampling=msgspec.structs.replace(first, temperature=max(first.temperature, SPREAD), seed=first.seed + number))
        for number in range(1, prompt.candidates)
    )
    return [prompt, *others]


def _tail(text: str, size: int) -> str:
    """The last characters of a text, from the beginning of a line on where one is in reach."""
    if len(text) <= size:
        return text
    cut = text[-size:]
    newline = cut.find("\n")
    return cut[newline + 1 :] if 0 <= newline < len(cut) // 2 else cut
