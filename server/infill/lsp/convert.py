"""Converts positions between an editor's code units (UTF-8, UTF-16 or UTF-32) and indexes in a Python string. Pure.

As LSP defines, a position after the line's end means its end, and one inside a character means that character's start.
"""

from __future__ import annotations

from typing import Literal

Encoding = Literal["utf-8", "utf-16", "utf-32"]
NO_VERSION = -(2**31)
"""The version of a document whose editor sends none."""


def to_index(line: str, units: int, encoding: Encoding) -> int:
    """The index in `line` (without its newline) that is `units` code units from its start."""
    if units <= 0:
        return 0
    if encoding == "utf-32" or line.isascii():
        return min(units, len(line))
    head = line[:units]  # a character has at least one unit, so the position cannot be after `head`
    if encoding == "utf-8":
        encoded = head.encode("utf-8", "surrogatepass")
        while units < len(encoded) and encoded[units] & 0xC0 == 0x80:  # a continuation byte
            units -= 1
        return len(encoded[:units].decode("utf-8", "surrogatepass"))
    left = head.encode("utf-16-le", "surrogatepass")[: 2 * units].decode("utf-16-le", "surrogatepass")
    # a cut inside a surrogate pair leaves its first half at the end: the position is then the start of that character
    return len(left) - 1 if left and left[-1] != line[len(left) - 1] else len(left)


def to_units(line: str, index: int, encoding: Encoding) -> int:
    """Number of code units before the character at `index`."""
    head = line[:index]
    if encoding == "utf-32" or head.isascii():
        return len(head)
    if encoding == "utf-8":
        return len(head.encode("utf-8", "surrogatepass"))
    return len(head.encode("utf-16-le", "surrogatepass")) // 2


def cut(line: str, units: int, encoding: Encoding) -> tuple[str, str]:
    """Split `line` exactly at `units`. In UTF-16 that may split a surrogate pair: both halves are kept, for `joined`."""
    if encoding != "utf-16" or line.isascii():
        index = to_index(line, units, encoding)
        return line[:index], line[index:]
    encoded = line.encode("utf-16-le", "surrogatepass")
    border = 2 * max(0, units)
    return encoded[:border].decode("utf-16-le", "surrogatepass"), encoded[border:].decode("utf-16-le", "surrogatepass")


def joined(text: str) -> str:
    """`text` with adjacent halves of a surrogate pair joined to one character."""
    if not _has_surrogates(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def readable(text: str) -> str:
    """`text` for a model: a newline for every line end, a replacement character for each lone surrogate."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not _has_surrogates(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def advance(line: int, index: int, text: str) -> tuple[int, int]:
    """Line and index of the end of `text` that starts at `line` and `index`."""
    newlines = text.count("\n")
    if not newlines:
        return line, index + len(text)
    return line + newlines, len(text) - text.rfind("\n") - 1


def _has_surrogates(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
