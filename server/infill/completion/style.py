"""Which columns a document uses: tabs or spaces, and the width of a level and of a tab. Pure; all code that counts indentation uses it.

    the lines around the cursor (in an embedded language: of that part) > the editor, `.editorconfig` > the language > spaces, 4 columns a level

It is used by the stop rule in the prompt and by the steps of post-processing.
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
"""Languages that forbid tabs."""
MAKE = frozenset({"makefile", "make", "mk"})
_MARKDOWN = frozenset({"markdown", "mdx", "quarto", "rmd"})
_BACKTICKS = frozenset({"go", "javascript", "typescript", "javascriptreact", "typescriptreact"})
"""Languages with multi-line strings in backticks."""
_TRIPLE_QUOTES = frozenset({"python", "java", "kotlin", "scala", "swift", "csharp"})
_FENCE = re.compile(r"[ \t>]*(?:`{3,}|~{3,})[ \t]*\{?[ \t]*([\w+-]*)")
_WITHIN = 4096
"""Number of characters left of the cursor that are searched for the start of a fenced block or a triple-quoted string."""
_SPACES = re.compile(r"^( {2,})(?=[^\s*])", re.MULTILINE)
_WIDE = re.compile(r"^\t+ {4,7}\S", re.MULTILINE)
"""Alignment by spaces that a tab of four columns would replace."""


class Style(msgspec.Struct, frozen=True):
    """How lines are indented at a cursor."""

    tabs: bool | None
    """Lines begin with tabs. None: unknown (inside a string); lines stay as the model writes them."""
    step: int = USUAL_STEP
    """Columns of a level of spaces."""
    tab: int = 0
    """Columns of a tab; 0: unknown."""

    @property
    def width(self) -> int:
        """Columns of a tab, for comparing indentations within a document."""
        return self.tab or USUAL_TAB


class Region(msgspec.Struct, frozen=True):
    """The part of a document that the cursor is in."""

    language: str
    start: int = 0
    """Offset in the text left of the cursor; 0 if the part is the whole document."""
    string: bool = False
    """The part is a string of unknown content."""


def quote_of(language: str) -> str:
    """The delimiter of a multi-line string; empty if the language has none or several."""
    return "`" if language in _BACKTICKS else '"""' if language in _TRIPLE_QUOTES else ""


def region_of(prefix: str, language: str) -> Region:
    """The fenced block or multi-line string that the cursor is in, else the document."""
    if language in _MARKDOWN:
        return _fenced(prefix, language)
    quote = quote_of(language)
    near = 0 if quote == "`" else max(0, len(prefix) - _WITHIN)  # counting triple quotes is slow, and only a near one matters
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

    `line` is the cursor's line up to its first visible character. Without one its indentation may still grow, so it gives no step.
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
    """The most frequent difference between levels of spaces, the smaller of two; 0 if there are none."""
    widths = [0, *(len(match[1]) for match in _SPACES.finditer(text))]
    rises = Counter(after - before for before, after in itertools.pairwise(widths) if LEAST_STEP <= after - before <= USUAL_TAB)
    return min(rises, key=lambda rise: (-rises[rise], rise), default=0)


def stop_columns(line_before: str, style: Style) -> tuple[int, int]:
    """The columns for `ask.Stop`: of the cursor's line, and of a tab.

    In files of tabs, models also write levels of two to eight columns. Only a line that is certainly indented less ends an answer there.
    So a tab counts as the smallest level; `block.py` does the rest, with the document's indentation.
    """
    tab = LEAST_STEP if style.tabs else style.step if style.tabs is False else USUAL_TAB
    return columns(line_before, tab), tab
