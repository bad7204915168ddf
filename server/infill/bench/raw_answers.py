"""The right answer at a place, and the same answer in the known forms of real models. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

from infill.bench.places import Place

SUFFIX_LINES = 3
"""Lines of the suffix that a model repeats when it does not stop."""
KNOWN = 3
"""Minimum number of letters and digits by which a repeated line is recognized: a line such as `(` may well occur twice."""
BEYOND = "\nThisLineIsInNoFile"
"""The text after the repeated suffix."""


def perfect(place: Place, asked_from: str) -> str:
    """The text between prefix and suffix. `asked_from` is the prompt's prefix: it may lack the indentation of the cursor's line.

    If only auto-closed text remains, a model that sees the suffix ends before it.
    """
    written = place.written
    if place.closers and written.endswith(place.closers) and written != place.closers:
        written = written[: -len(place.closers)]
    return _missing(place, asked_from) + written


def _missing(place: Place, asked_from: str) -> str:
    """The white space before the cursor that is not in the prompt."""
    return place.line_before if asked_from.endswith("\n") and not place.line_before.strip() else ""


def _leading_space(answer: str, place: Place) -> str:
    """With the leading space of SentencePiece models. Only if it cannot be the author's: where `_spaceless`, or before a line break."""
    return " " + answer if answer.startswith("\n") or _spaceless(answer, place) else answer


def _spaceless(answer: str, place: Place) -> bool:
    """Whether an additional space is certainly wrong: after a space, after indentation, and in code after `(`, `[` or `.`."""
    before = place.line_before
    if not before.strip():
        return bool(before) or not answer.startswith(" ")
    if place.written.startswith((" ", "*/")) or before.endswith("  "):
        return False
    inner = place.syntax.enclosing(place.cursor, place.line_start)
    code = not place.syntax.in_comment(place.cursor) and not (inner and inner[0].kind in {"quote", "comment", "tag"})
    return before[-1] in " \t" or (code and (before[-1] in "([" or re.search(r"[\w)\]]\.\Z", before) is not None))


def _no_first_indentation(answer: str, place: Place) -> str:
    """Without the first line's indentation, as from servers that strip answers, on a line that has only its indentation."""
    return answer.lstrip(" \t") if _indented(place) else answer


def _no_indentation(answer: str, place: Place) -> str:
    """With indentation relative to the block's first line."""
    return textwrap.dedent(answer) if _indented(place) else answer


def _indented(place: Place) -> bool:
    """Whether the cursor's line contains only its indentation."""
    return bool(place.line_before) and not place.line_before.strip() and not place.written.startswith((" ", "\t"))


def _repeated_closer(answer: str, place: Place) -> str:
    """With the closers right of the cursor repeated."""
    line = place.right.partition("\n")[0]
    closers = line[: len(line) - len(line.lstrip(")]}\"'`"))]
    return answer if place.closers and not _ends_before_closers(answer, place) else answer + (place.closers or closers)


def _ends_before_closers(answer: str, place: Place) -> bool:
    return place.written.endswith(place.closers) and answer.endswith(place.written[: -len(place.closers)])


def _running_on(answer: str, place: Place) -> str:
    """With the next lines of the file."""
    whole = _repeated_closer(answer, place)
    below = place.syntax.text[place.until :] if place.closers else place.right[len(whole) - len(answer) :]
    return whole + "\n".join(below.split("\n")[: 1 + SUFFIX_LINES])


def _running_on_behind(answer: str, place: Place) -> str:
    """With the next lines of the file, and unrelated text after them."""
    return _running_on(answer, place) + BEYOND


def _line_start(answer: str, place: Place) -> str:
    """With the cursor's line repeated from its start."""
    known = sum(character.isalnum() for character in place.line_before) >= KNOWN
    return place.line_before.lstrip() + answer if known else answer


VARIANTS: dict[str, Callable[[str, Place], str]] = {
    "as the author wrote it": lambda answer, place: answer,
    "leading space": _leading_space,
    "first line without indentation": _no_first_indentation,
    "no line with the block's indentation": _no_indentation,
    "repeated closers": _repeated_closer,
    "running on into the suffix": _running_on,
    "running on behind the suffix": _running_on_behind,
    "line repeated from its start": _line_start,
    "CR LF": lambda answer, place: answer.replace("\n", "\r\n"),
    "line break at the end": lambda answer, place: answer + "\n",
    "byte order mark": lambda answer, place: "\ufeff" + answer,
    "end token as text": lambda answer, place: answer + "<|endoftext|>",
}


def variants(place: Place, asked_from: str) -> dict[str, str]:
    """Every form that differs from the author's text at this place."""
    answer = perfect(place, asked_from)
    forms = {name: form(answer, place) for name, form in VARIANTS.items()}
    return {name: form for number, (name, form) in enumerate(forms.items()) if number == 0 or form != answer}
