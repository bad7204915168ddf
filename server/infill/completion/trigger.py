"""Reasons to send no request. Pure."""

from __future__ import annotations

import re

from infill.completion.cursor import cursor_at
from infill.completion.place import place_of
from infill.completion.types import CompletionRequest
from infill.settings import Settings

MAY_FOLLOW = frozenset(")]}\"'`;:,> \t\r")
"""Characters that may follow the cursor while typing: closers that editors add, and punctuation."""
CLOSING_TAGS = re.compile(r"\s*(?:</[\w:.-]*>\s*)+[)\]};,]*\s*")
"""Closers that markup editors add."""
LONGEST_LINE = 2000
"""Maximum number of characters left of the cursor in its line. Longer lines are minified code or data, which models cannot continue."""


def refuses(request: CompletionRequest, settings: Settings) -> str:
    """Why no request is sent; empty if one is."""
    if not settings.enabled:
        return "infill is switched off"
    if request.disabled:
        return request.disabled
    if not settings.languages.get(request.language, True):
        return f"switched off for {request.language}"
    return _too_early(request) if request.automatic else ""


def _too_early(request: CompletionRequest) -> str:
    """Why an automatic suggestion would disturb the user. Requests by key skip this check."""
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
    """Whether the text right of the cursor closes the innermost pair or opens the line's block, so that a suggestion may precede it."""
    closer = cursor_at(place_of(request)).innermost
    return after.strip() == "{" or (closer is not None and not after[: closer.start].strip())


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
