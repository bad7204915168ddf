"""Whether a text parses, as far as known without a compiler: Python and JSON with their parsers, other languages by brackets. Pure."""

from __future__ import annotations

import ast
import json
import re
import warnings

from infill.completion.lexer.languages import ALIASES
from infill.edits.zones import mask

LARGEST = 400_000
"""Maximum number of characters; larger texts are not parsed."""
_BRACKETS = re.compile(r"[()\[\]{}]")
_CLOSED = {")": "(", "]": "[", "}": "{"}
_PROSE = frozenset({"markdown", "plaintext", "latex", "tex", "restructuredtext", "asciidoc", "git-commit"})


def parses(text: str, language: str) -> bool | None:
    """Whether the text parses; None if unknown."""
    language = ALIASES.get(language, language)
    if len(text) > LARGEST or language in _PROSE:
        return None
    if language == "python":
        return _python(text)
    if language == "json":
        return _json(text)
    return _balanced(text, language)


def _python(text: str) -> bool | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as invalid escapes
            ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    except (RecursionError, MemoryError):
        return None
    return True


def _json(text: str) -> bool | None:
    try:
        json.loads(text)
    except ValueError:
        return False
    except RecursionError:
        return None
    return True


def _balanced(text: str, language: str) -> bool:
    stack: list[str] = []
    for bracket in _BRACKETS.findall(mask(language).sub(" ", text)):
        if bracket not in _CLOSED:
            stack.append(bracket)
        elif not stack or stack.pop() != _CLOSED[bracket]:
            return False
    return not stack
