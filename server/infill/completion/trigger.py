"""When nothing is asked at all. Pure: one look at the request, one sentence part as the answer."""

from __future__ import annotations

import re

from infill.completion.cursor import cursor_at
from infill.completion.place import place_of
from infill.completion.types import CompletionRequest
from infill.settings import Settings

MAY_FOLLOW = frozenset(")]}\"'`;:,> \t\r")
"""What may stand right of the cursor while typing: what editors close by themselves, and punctuation."""
CLOSING_TAGS = re.compile(r"\s*(?:</[\w:.-]*>\s*)+[)\]};,]*\s*")
"""What editors of markup close by themselves."""
LONGEST_LINE = 2000
"""Characters left of the cursor in its line; more is minified or data, and no model continues that."""


def refuses(request: CompletionRequest, settings: Settings) -> str:
    """Why there is nothing to ask for; empty: ask."""
    if not settings.enabled:
        return "infill is switched off"
    if request.disabled:
        return request.disabled
    if not settings.languages.get(request.language, True):
        return f"switched off for {request.language}"
    return _too_early(request) if request.automatic else ""


def _too_early(request: CompletionRequest) -> str:
    """Why an automatic suggestion would be in the way; asking by key is always allowed."""
    before, after = request.line_before[-LONGEST_LINE - 1 :], request.line_after[:LONGEST_LINE]
    if not MAY_FOLLOW.issuperset(after) and not CLOSING_TAGS.fullmatch(after) and not _before_a_closer(request, after):
        return "in the middle of a word" if _is_word(before[-1:]) and _is_word(after[:1]) else "text follows right of the cursor"
    if len(before) > LONGEST_LINE:
        return "the line is too long"
    if "\0" in request.prefix[-LONGEST_LINE:]:
        return "not a text file"
    if not request.selected and not request.prefix[-LONGEST_LINE:].strip() and not request.suffix[:LONGEST_LINE].strip():
        return "there is no text around the cursor"
    return ""


def _before_a_closer(request: CompletionRequest, after: str) -> bool:
    """Whether what stands right of the cursor closes what the cursor is in, or opens the block of its line: what follows is no part of it."""
    closer = cursor_at(place_of(request)).innermost
    return after.strip() == "{" or (closer is not None and not after[: closer.start].strip())


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
