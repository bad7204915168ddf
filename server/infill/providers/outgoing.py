"""Prompts for remote providers: shortened to the server's limits, and without secrets. Pure except for the first import of the rules."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from infill.ask import Message, Prompt, Snippet
from infill.privacy import secrets
from infill.providers.base import Limits

SPREAD = 0.4
"""Minimum temperature of all candidates but the first; without it all would be equal."""


def presentable(prompt: Prompt, limits: Limits) -> tuple[Prompt, int]:
    """The prompt shortened to the server's limits and without secrets, and the number of secrets."""
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
    """The messages without secrets, and the number of secrets."""
    found = [secrets.mask(turn.content) for turn in messages]
    turns = tuple(msgspec.structs.replace(turn, content=text) for turn, (text, _) in zip(messages, found, strict=True))
    return turns, sum(number for _, number in found)


def note(found: int) -> tuple[str, ...]:
    """The note about masked secrets for an answer."""
    return (f"{found} secret{'s' if found > 1 else ''} masked",) if found else ()


def candidates(prompt: Prompt) -> list[Prompt]:
    """One prompt per candidate; all but the first are varied."""
    first = prompt.sampling
    others = (
        msgspec.structs.replace(prompt, sampling=msgspec.structs.replace(first, temperature=max(first.temperature, SPREAD), seed=first.seed + number))
        for number in range(1, prompt.candidates)
    )
    return [prompt, *others]


def _tail(text: str, size: int) -> str:
    """The last characters of a text, from the start of a line if one is near."""
    if len(text) <= size:
        return text
    cut = text[-size:]
    newline = cut.find("\n")
    return cut[newline + 1 :] if 0 <= newline < len(cut) // 2 else cut
