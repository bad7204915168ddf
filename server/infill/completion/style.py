"""Which columns a document uses: tabs or spaces, how wide a level and a tab are. Pure; the one place that decides it.

    the lines around the cursor (in an embedded language: of that part) > the editor, `.editorconfig` > the language > spaces, 4 columns a level

Everything that counts or converts indentation asks here: the stop rule in the prompt, and the steps of post-processing.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter

import msgspec

from infill.columns import columns
from infill.completion.types import Indentation

USUAL_STEP, USUAL_TAB = 4, 8
LEAST_STEP = 2
"""Columns of the smallest level that models write."""
TABS_ALWAYS = frozenset({"go", "makefile", "make", "mk"})
SPACES_ALWAYS = frozenset({"yaml", "yml", "dockercompose", "github-actions-workflow"})
"""The language forbids tabs."""
MAKE = frozenset({"makefile", "make", "mk"})
_MARKDOWN = frozenset({"markdown", "mdx", "quarto", "rmd"})
_BACKTICKS = frozenset({"go", "javascript", "typescript", "javascriptreact", "typescriptreact"})
"""Where strings in backticks have lines."""
_TRIPLE_QUOTES = frozenset({"python", "java", "kotlin", "scala", "swift", "csharp"})
_FENCE = re.compile(r"[ \t>]*(?:`{3,}|~{3,})[ \t]*\{?[ \t]*([\w+-]*)")
_WITHIN = 4096
"""Characters left of the cursor in which the beginning of a fenced block, or of a string in three quotes, is looked for."""
_SPACES = re.compile(r"^( {2,})(?=[^\s*])", re.MULTILINE)
_WIDE = re.compile(r"^\t+ {4,7}\S", re.MULTILINE)
"""Alignment that a tab of four columns would have done."""


class Style(msgspec.Struct, frozen=True):
    """How lines are indented at a cursor."""

    tabs: bool | None
    """Lines begin with tabs; None: unknown (inside a string), they stay as the model writes them."""
    step: int = USUAL_STEP
    """Columns of a level of spaces."""
    tab: int = 0
    """Columns of a tab; 0: unknown."""

    @property
    def width(self) -> int:
        """Columns of a tab where indentations of one document are compared."""
        return self.tab or USUAL_TAB


class Region(msgspec.Struct, frozen=True):
    """The part of a document that the cursor is in."""

    language: str
    start: int = 0
    """Offset in the text left of the cursor; 0 where the part is the whole document."""
    string: bool = False
    """It is a string, in whatever language."""


def quote_of(language: str) -> str:
    """What begins and ends a string of several lines; empty: the language has none, or nothing simple."""
    return "`" if language in _BACKTICKS else '"""' if language in _TRIPLE_QUOTES else ""


def region_of(prefix: str, language: str) -> Region:
    """The fenced block or the string of several lines that the cursor is in, else the document."""
    if language in _MARKDOWN:
        return _fenced(prefix, language)
    quote = quote_of(language)
    near = 0 if quote == "`" else max(0, len(prefix) - _WITHIN)  # counting three characters takes long, and only a near one matters
    start = prefix.rfind(quote, near) if quote else -1
    if start < 0 or prefix.count(quote) % 2 == 0:
        return Region(language)
    docstring = quote == '"""' and not prefix[prefix.rfind("\n", 0, start) + 1 : start].strip()
    return Region(language) if docstring else Region("", start + len(quote), string=True)


def _fenced(prefix: str, language: str) -> Region:
    near, end = max(0, len(prefix) - _WITHIN), len(prefix)
    while (end := max(prefix.rfind("```", near, end), prefix.rfind("~~~", near, end))) >= 0:
        if fence := _FENCE.match(prefix, prefix.rfind("\n", 0, end) + 1):
            # a fence without a language ends a block more often than it begins one
            return Region(fence[1].lower(), prefix.find("\n", fence.end()) + 1 or len(prefix)) if fence[1] else Region(language)
    return Region(language)


@functools.lru_cache(64)
def style_of(above: str, line: str, below: str, language: str, declared: Indentation, *, string: bool = False) -> Style:
    """The style of lines between `above` and `below`, text of one part of the document.

    `line` is the cursor's line up to its first visible character: while it has none, its indentation may still grow and tells no step.
    """
    above, below = f"\n{above}{line}", below.partition("\n")[1] + below.partition("\n")[2]
    tabs = _tabs(above, below, language, declared)
    if tabs is None and not string:
        tabs = False
    return Style(tabs, _step(above + below) or declared.step or USUAL_STEP, declared.tab or (USUAL_TAB if _WIDE.search(above + below) else 0))


def _tabs(above: str, below: str, language: str, declared: Indentation) -> bool | None:
    if language in TABS_ALWAYS or language in SPACES_ALWAYS:
        return language in TABS_ALWAYS
    for text in (above, below):
        tabs, spaces = text.count("\n\t"), text.count("\n  ")
        if tabs or spaces:
            return tabs > spaces
    return declared.tabs


def _step(text: str) -> int:
    """The difference between levels of spaces that is seen most often, the smaller of two; 0: there are none."""
    widths = [0, *(len(match[1]) for match in _SPACES.finditer(text))]
    rises = Counter(after - before for before, after in itertools.pairwise(widths) if LEAST_STEP <= after - before <= USUAL_TAB)
    return min(rises, key=lambda rise: (-rises[rise], rise), default=0)


def stop_columns(line_before: str, style: Style) -> tuple[int, int]:
    """How `ask.Stop` counts: columns of the cursor's line, and of a tab.

    Models write levels of two to eight columns also in files of tabs. Only what is certainly less indented ends an answer there: a tab counts as the
    smallest level, and the rest is left to block.py, which sees lines as the document indents them.
    """
    tab = LEAST_STEP if style.tabs else style.step if style.tabs is False else USUAL_TAB
    return columns(line_before, tab), tab
