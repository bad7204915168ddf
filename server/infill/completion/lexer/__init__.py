"""Which strings, comments and brackets a text leaves open, and what closes them. The one lexer of all steps. Pure.

It recognises strings, interpolations, comments, brackets, regular expressions and tags of each language, like editors that close pairs, and nothing
else. docs/develop/decisions/lexer.md says why no library is used.
"""

from __future__ import annotations

from functools import lru_cache

from infill.completion.lexer import modes
from infill.completion.lexer.scanner import BRACKET, COMMENT, ELEMENT, EMBEDDED, HOLE, STRING, TAG, WEAK, Frame, Pair, Scanner, State

__all__ = [
    "BRACKET",
    "COMMENT",
    "ELEMENT",
    "HOLE",
    "STRING",
    "TAG",
    "WEAK",
    "Frame",
    "Pair",
    "Scanner",
    "State",
    "ends_in_comment",
    "scan",
    "state_after",
]


@lru_cache(maxsize=32)
def state_after(above: str, language: str) -> State:
    """The state at the end of the text above a line."""
    return scan(above, State((Frame("", modes.root(language), -1, EMBEDDED),), 0)).state


def scan(text: str, state: State) -> Scanner:
    """Read the rest of a text from `state`, which describes its beginning."""
    scanner = Scanner(text, state)
    scanner.advance(len(text))
    return scanner


@lru_cache(maxsize=64)
def ends_in_comment(line: str, language: str) -> bool:
    """Whether a line of code ends in a line comment, in which no bracket opens anything."""
    return any(frame.closer == "\n" for frame in state_after(line, language).stack)
