"""Divides the provider's budget among the text around the cursor. Pure.

The windows are stable. The prefix begins a multiple of STEP lines after the file's start; the suffix ends a multiple of STEP lines before its end.
Typing moves neither, so the KV cache stays valid. If a window overflows, its far edge moves by whole steps.

    line 0      32      64      96   cursor         32 from the end    end
         |.......|.......|#######|###|########|......|..................|
                         `- prefix --'- suffix ------'
"""

from __future__ import annotations

import re

from infill.ask import Priority, Prompt, Sampling, Snippet, Stop
from infill.completion.cursor import in_empty_pair
from infill.completion.place import place_of
from infill.completion.style import stop_columns
from infill.completion.types import CompletionRequest
from infill.providers.base import Limits
from infill.settings import Settings

STEP = 32
"""Number of lines by which a window's far edge moves."""
LEAST_FILLED = 0.5
"""Minimum filled share of a window. If lines are long, smaller steps are used."""
TYPICAL_LINE = 40
"""Characters."""
STEP_CHARACTERS = 256
"""Step within one very long line, in characters."""

_SURROGATES = re.compile("[\ud800-\udfff]")


def build(
    request: CompletionRequest,
    limits: Limits,
    settings: Settings,
    *,
    snippets: tuple[Snippet, ...] = (),
    priority: Priority | None = None,
    before: CompletionRequest | None = None,
) -> Prompt:
    """Build the prompt of a request.

    `before` is the request that a prefetch follows: the same document, with less text before the cursor and more after it. Its windows are kept. So a
    prefetch in the same slot evaluates only the text it adds, and the cached text keeps its position.
    """
    wanted = settings.completion
    prefix, suffix = sent(request, limits, before)
    indent, tab = stop_columns(request.line_before, place_of(request).style)
    return Prompt(
        slot=request.uri,
        prefix=_encodable(without_indentation(prefix)),
        suffix=_encodable(suffix),
        path=_encodable(request.path),
        snippets=snippets,
        candidates=1 if request.automatic else wanted.candidates,
        sampling=Sampling(temperature=wanted.temperature, top_p=wanted.top_p, min_p=wanted.min_p, seed=wanted.seed),
        stop=Stop(
            max_tokens=wanted.max_tokens,
            single_line=not wanted.multiline or within_line(request) or (request.automatic and not settings.engine.go_on),
            indent=indent or None,
            whole_lines=bool(request.line_before) and not request.line_before.strip(),
            tab=tab,
            deadline_ms=wanted.deadline_ms,
        ),
        priority=priority or ("automatic" if request.automatic else "invoked"),
        yield_after_line=request.automatic,
        remote_allowed=request.remote_allowed,
        logprobs=request.automatic and wanted.eagerness != "high",
    )


def sent(request: CompletionRequest, limits: Limits, before: CompletionRequest | None = None) -> tuple[str, str]:
    """The text left and right of the cursor that `build` puts into the prompt, as it is in the document."""
    start = before or request
    prefix, suffix = windows(start.prefix, start.suffix, limits)
    return prefix + request.prefix[len(start.prefix) :], suffix[len(start.suffix) - len(request.suffix) :]


def snippet_budget(limits: Limits) -> int:
    """Maximum number of characters of snippets; they have their own share and never reduce the prefix."""
    return int(limits.snippet_tokens * limits.chars_per_token)


def within_line(request: CompletionRequest) -> bool:
    """Whether text right of the cursor limits the suggestion to this line. A pair just opened, as in `{|}`, may contain lines."""
    after = request.line_after.strip()
    if not after:
        return False
    return not in_empty_pair(place_of(request))


def without_indentation(prefix: str) -> str:
    """The prefix without the indentation of a blank last line. The model then writes the indentation itself, in whole tokens and never twice."""
    start = prefix.rfind("\n") + 1
    return prefix[:start] if not prefix[start:].strip() else prefix


def windows(prefix: str, suffix: str, limits: Limits) -> tuple[str, str]:
    """The text left and right of the cursor that is sent; all of it if it fits."""
    room_before = int(limits.prefix_tokens * limits.chars_per_token)
    room_after = int(limits.suffix_tokens * limits.chars_per_token)
    if len(prefix) + len(suffix) <= room_before + room_after:
        return prefix, suffix
    below = _upto(suffix, room_after)
    return _since(prefix, room_before + max(0, room_after - len(suffix))), below


def _since(text: str, room: int) -> str:
    """The end of `text`, from a line whose number is a multiple of STEP."""
    if len(text) <= room:
        return text
    first = text.count("\n", 0, len(text) - room)  # the line in which the available room begins
    starts = _line_starts(text, len(text) - room)
    step = _step(room)
    while step:
        index = -(first + 1) % step
        if index < len(starts) and len(text) - starts[index] >= room * LEAST_FILLED:
            return text[starts[index] :]
        step //= 2
    start = len(text) - room
    stepped = start + -start % STEP_CHARACTERS
    return text[stepped if len(text) - stepped >= room * LEAST_FILLED else start :]


def _upto(text: str, room: int) -> str:
    """The beginning of `text`, up to the end of a line that is a multiple of STEP lines from the end."""
    if len(text) <= room:
        return text
    ends = _line_ends(text, room)
    after = text.count("\n", ends[0]) if ends else 0  # number of lines after the last one that fits
    step = _step(room)
    while step and ends:
        index = -after % step
        if index < len(ends) and ends[index] >= room * LEAST_FILLED:
            return text[: ends[index]]
        step //= 2
    return text[:room]


def _step(room: int) -> int:
    """The largest step that leaves a window of ordinary lines well filled."""
    step = STEP
    while step > 1 and step * TYPICAL_LINE > room * (1 - LEAST_FILLED):
        step //= 2
    return step


def _line_starts(text: str, position: int) -> list[int]:
    """Offsets of the lines after `position`, as many as a step of each size needs."""
    starts: list[int] = []
    while len(starts) <= STEP and (position := text.find("\n", position) + 1):
        starts.append(position)
    return starts


def _line_ends(text: str, room: int) -> list[int]:
    """Offsets of the line ends before `room`, the last one first."""
    ends: list[int] = []
    end = room
    while len(ends) <= STEP and (end := text.rfind("\n", 0, end)) >= 0:
        ends.append(end)
    return ends


def _encodable(text: str) -> str:
    """The text with lone surrogates, which cannot be encoded, replaced by a character of the same length."""
    if text.isascii():
        return text
    return _SURROGATES.sub("\ufffd", text)
