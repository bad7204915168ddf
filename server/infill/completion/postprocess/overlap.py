"""What stands right of the cursor already is not suggested again. Pure; never takes away a line that the suffix does not hold."""

from __future__ import annotations

from infill.completion.place import CLOSING, Place
from infill.completion.postprocess.brackets import unmatched

SIGNIFICANT = 3
"""Letters and digits that a line needs before it counts as the same line rather than the same punctuation."""
PART = 8
"""Characters by which a last line that was cut short is known."""


def suffix_not_repeated(text: str, place: Place) -> str:
    """Nothing where the suggestion's first line is the next line, or the rest of this one."""
    first = text.lstrip("\n").partition("\n")[0]
    full = (first if text.startswith("\n") else place.line_before + first).rstrip()
    rest = place.line_after.rstrip()
    if rest and first.rstrip() == rest and _letters(rest) >= SIGNIFICANT:
        return ""
    following = next((line.rstrip() for line in place.below.split("\n")[1:] if line.strip()), "")
    return "" if full == following and _letters(full) >= SIGNIFICANT else text


def tail_trimmed(text: str, place: Place) -> str:
    """Without last lines that are the suffix's next lines."""
    lines = text.split("\n")
    below = [line.rstrip() for line in place.below.split("\n")[1:] if line.strip()]
    for start in range(1, len(lines)):
        tail = [line.rstrip() for line in lines[start:] if line.strip()]
        if tail and _begins(below, tail) and not _needed(text, "\n".join(lines[:start]), place.language):
            return _rest_of_line_trimmed("\n".join(lines[:start]).rstrip(), place)
    return _rest_of_line_trimmed(text, place)


def _begins(below: list[str], tail: list[str]) -> bool:
    """Whether the suffix's lines begin with those of the tail, whose last one may be unfinished."""
    count = len(tail)
    if below[:count] == tail:
        return True
    last = tail[-1]
    return len(below) >= count and below[: count - 1] == tail[:-1] and len(last.strip()) >= PART and below[count - 1].startswith(last)


def _needed(text: str, shorter: str, language: str) -> bool:
    """Whether the tail closes what the suggestion itself opened: then it stays, and the suffix's bracket belongs to somebody else."""
    return len(unmatched(text, language)[1]) < len(unmatched(shorter, language)[1])


def _rest_of_line_trimmed(text: str, place: Place) -> str:
    """Without the rest of the cursor's line, where that is more than brackets (those are replaced: see brackets.py)."""
    rest = place.line_after.strip()
    if CLOSING.issuperset(rest) or not text.endswith(rest):
        return text
    shorter = text[: -len(rest)]
    in_word = (shorter[-1:].isalnum() or shorter[-1:] == "_") and rest[0].isalnum()
    return text if in_word or not shorter.strip() else shorter.rstrip(" \t")


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)
