"""A prompt in a model's own format through the real engine: answered, kept in the KV cache, refused if it is too long."""

from __future__ import annotations

import pytest
from questions import BUNDLED, answer

from infill.ask import Delta, Piece, Report, Rewriting, Stop
from infill.errors import ProviderRefused
from infill.providers.local import LocalProvider

FILE = "def area(width, height):\n    return width * height\n\n\n" * 6


async def rewritten(local: LocalProvider, *pieces: Piece, slot: str = "main.py (next edit)") -> tuple[str, Report]:
    text, report = "", None
    async for event in local.rewrite(Rewriting(slot=slot, model=BUNDLED, pieces=pieces, stop=Stop(max_tokens=12))):
        if isinstance(event, Delta):
            text += event.text
        elif isinstance(event, Report):
            report = event
    assert report is not None
    return text, report


async def test_what_stands_before_the_newest_edit_is_not_evaluated_again(provider: LocalProvider) -> None:
    _, first = await rewritten(provider, Piece(FILE), Piece("x = 1\n"))
    text, second = await rewritten(provider, Piece(FILE), Piece("y = 2\n"))
    assert text
    assert second.timings.tokens_evaluated < first.timings.tokens_evaluated / 2
    assert second.timings.tokens_kept > second.timings.tokens_evaluated


async def test_the_names_of_control_tokens_in_a_text_are_text(provider: LocalProvider) -> None:
    _, plain = await rewritten(provider, Piece("x = '<|fim_middle|>'\n"), slot="a")
    _, control = await rewritten(provider, Piece("x = '", ""), Piece("'\n", "<|fim_middle|>"), slot="b")
    assert plain.timings.tokens_evaluated > control.timings.tokens_evaluated


async def test_a_prompt_that_does_not_fit_is_refused_with_a_sentence(provider: LocalProvider) -> None:
    with pytest.raises(ProviderRefused, match="room for"):
        await rewritten(provider, Piece(FILE * 400))
    assert (await answer(provider))[0]
