"""From a model's answer to the text to show: two ordered lists of small pure steps.

`CACHEABLE` runs once, on the answer and the place it was requested for. `AT_CURSOR` runs each time the answer is shown, on what remains of it at the
cursor. A step returns its text, changed or not; empty means that nothing is shown. Steps do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from infill.completion.place import Place
from infill.completion.postprocess import block, closers, foreign, indentation, notice, overlap, repetition

Step = Callable[[str, Place], str]

OPENING: tuple[Step, ...] = (
    overlap.line_not_repeated,
    indentation.blank_lines_dropped,
    indentation.extra_space_dropped,
    indentation.tabs_or_spaces,
    indentation.not_doubled,
    indentation.blank_lines_emptied,
)
"""Steps for the beginning of an answer. They are valid even if only some of its characters are known, except for white space at the end."""

CACHEABLE: tuple[Step, ...] = (
    foreign.foreign_text_cut,
    notice.notice_cut,
    *OPENING,
    repetition.loop_in_a_line_cut,
    repetition.repeated_lines_cut,
    repetition.line_above_not_repeated,
    block.arguments_kept,
    block.kept,
    block.white_space_trimmed,
    block.too_short_dropped,
)

AT_CURSOR: tuple[Step, ...] = (
    overlap.suffix_not_repeated,
    overlap.tail_trimmed,
    block.blank_dropped,
)

ENDING = frozenset(
    {"foreign_text_cut", "notice_cut", "loop_in_a_line_cut", "repeated_lines_cut", "line_above_not_repeated", "arguments_kept", "kept"}
)
"""Steps after which the rest of the answer cannot matter."""


class Shown(msgspec.Struct, frozen=True):
    """The part of an answer that is shown at a cursor."""

    text: str
    replaces: int
    steps: tuple[str, ...]


def opening(text: str, place: Place) -> str:
    """The beginning of the answer as it would be in the document, as far as it is certain."""
    text = text.rstrip(" \t")
    for step in OPENING:
        text = step(text, place)
    return text


def cacheable(text: str, place: Place) -> tuple[str, tuple[str, ...]]:
    """The part of an answer to keep, and the names of the steps that changed it."""
    return _through(CACHEABLE, text, place)


def at_cursor(text: str, place: Place) -> Shown:
    """The part of `text` to show at a cursor."""
    text, steps = _through(AT_CURSOR, text, place)
    if not text:
        return Shown("", 0, steps)
    shown = closers.fitted(text, place)
    return Shown(shown.text, shown.replaces, steps if shown.text == text else (*steps, "fitted"))


def _through(steps: tuple[Step, ...], text: str, place: Place) -> tuple[str, tuple[str, ...]]:
    changed = []
    for step in steps:
        if not text:
            break
        before, text = text, step(text, place)
        if text != before:
            changed.append(step.__name__)
    return text, tuple(changed)
