"""Names in code, and the words in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from infill.completion.context import COMMON_WORDS

SHORTEST, LONGEST = 3, 40
"""Length of indexed words in characters; longer ones are keys and hashes."""
MOST_WORDS = 400
"""Words indexed per chunk."""

NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def words(names: Iterable[str]) -> list[str]:
    """The words of names (split at camelCase and underscores) and the whole names, in lower case, sorted, without duplicates.

    `parseHTTPHeader` gives `header`, `http`, `parse` and `parsehttpheader`.
    """
    found: set[str] = set()
    for name in names:
        if name in COMMON_WORDS:
            continue
        parts = [part.lower() for part in _PART.findall(name)]
        whole = "".join(parts)
        found.update(word for word in (*parts, whole) if SHORTEST <= len(word) <= LONGEST and not word.isdigit())
    return sorted(found - COMMON_WORDS)[:MOST_WORDS]


def names(text: str) -> list[str]:
    """The names in a text in order, with duplicates."""
    return [name for name in NAME.findall(text) if len(name) >= SHORTEST and name not in COMMON_WORDS]
