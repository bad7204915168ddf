"""The names used in the code before a cursor, those likeliest to be written next first. Pure.

A name near the cursor has a greater weight, as has one that is imported, called or written as a type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from infill.completion.context import COMMON_WORDS
from infill.index import identifiers

LINES = 40
"""Lines above the cursor that are searched, in addition to imports."""
NEAR = 5
MOST_USES = 24
IMPORT = re.compile(r"^\s*(?:import|from|use|pub use|#\s*include|export .* from|.*\brequire\b|.*\bimport\()")
_USE = re.compile(r"(?:(?P<qualifier>[A-Za-z_$][\w$]*)(?:\.|::|->|:))?(?P<name>[A-Za-z_$][\w$]*)(?P<call>\s*(?:\(|!\(|<))?")
_STRINGS = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|//.*|(?<!\S)#(?!\s*include).*|--\s.*")


class Use(msgspec.Struct, frozen=True):
    """A name, its qualifier (before the dot), and words of the imports that name it."""

    name: str
    qualifier: str = ""
    hints: frozenset[str] = frozenset()
    """Words of the imports that name it or its qualifier: parts of the path of its definition."""

    imported: bool = False
    """Whether an import names it or its qualifier."""


def uses(text: str) -> list[Use]:
    """The names used in the text before a cursor, at most MOST_USES."""
    lines = text.split("\n")
    imports = [line for line in lines if IMPORT.match(line)]
    hints = _hints(imports)
    weights: dict[tuple[str, str], float] = {}
    for distance, line in enumerate(reversed(lines[-LINES:])):
        if not IMPORT.match(line):
            _add(weights, line, 3.0 if distance == 0 else 2.0 if distance <= NEAR else 1.0)
    for line in imports:
        for name in identifiers.names(_STRINGS.sub("", line)):
            weights[name, ""] = weights.get((name, ""), 0.0) + 0.6
    ranked = sorted(weights, key=lambda key: -weights[key])[:MOST_USES]
    everything = frozenset().union(*hints.values()) if hints else frozenset()
    found = []
    for name, qualifier in ranked:
        own = hints.get(qualifier, frozenset()) | hints.get(name, frozenset())
        found.append(Use(name, qualifier, own or everything, bool(own)))
    return found


def _add(weights: dict[tuple[str, str], float], line: str, weight: float) -> None:
    for found in _USE.finditer(_STRINGS.sub("", line)):
        name, qualifier = found["name"], found["qualifier"] or ""
        if len(name) >= identifiers.SHORTEST and name not in COMMON_WORDS:
            value = weight * (1.5 if found["call"] else 1.0) * (1.2 if name[0].isupper() else 1.0)
            weights[name, qualifier] = max(weights.get((name, qualifier), 0.0), value)


def _hints(imports: Iterable[str]) -> dict[str, frozenset[str]]:
    """For each name, the words of the imports that mention it."""
    found: dict[str, frozenset[str]] = {}
    for line in imports:
        words = frozenset(identifiers.NAME.findall(line))
        for name in words:
            found[name] = found.get(name, frozenset()) | words
    return found
