"""Random cursors in real files: the text before the cursor, the text to its right, and the author's next text. Pure, with a seed.

A place in an auto-closed pair is the state of an editor after the author typed up to the cursor. The rest of the line is not written yet, and the
closers that the editor added are right of the cursor.

file        total = add(first, second[0]);
cursor      total = add(first, second[█])        right of it: `])`; to be written: `0]);`
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from infill.bench.syntax import Pair, Syntax

MOST_LINES, MOST_CHARACTERS = 7, 280
"""Limits for the text to be written: more does not fit into the default of 64 generated tokens."""
LEAST_VISIBLE = 2
"""Minimum number of characters: less is typed faster than read, and not suggested."""
ATTEMPTS = 60
"""Random cuts tried for each requested place."""
IN_WORD = 0.25
"""Share of cuts that may be inside a word, as while typing it."""
_OPENS_BLOCK = re.compile(r"(?:[:{(\[]|\b(?:then|do|else))$")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A cursor in a file."""

    language: str
    kind: str
    path: str
    syntax: Syntax
    """The syntax of the complete original file."""
    cursor: int
    until: int
    """The end of the text to be written; the file continues after it."""
    closers: str = ""
    """The closers that the editor added, which are right of the cursor."""

    @property
    def left(self) -> str:
        return self.syntax.text[: self.cursor]

    @property
    def written(self) -> str:
        """The text to be written, with auto-closed brackets."""
        return self.syntax.text[self.cursor : self.until]

    @property
    def right(self) -> str:
        return self.closers + self.syntax.text[self.until :]

    @property
    def line_start(self) -> int:
        return self.syntax.text.rfind("\n", 0, self.cursor) + 1

    @property
    def line_before(self) -> str:
        return self.syntax.text[self.line_start : self.cursor]


Cut = Callable[[random.Random, Syntax], "tuple[int, int, str] | None"]
"""Returns cursor, end and closers of one random cut; None if the attempt failed."""


def places(language: str, files: Sequence[tuple[str, Syntax]], wanted: int, seed: int) -> Iterator[Place]:
    """Up to `wanted` different places of each kind. The same files and seed give the same places."""
    for kind, cut in KINDS.items():
        dice, seen = random.Random(f"{seed} {language} {kind}"), set()
        for _ in range(wanted * ATTEMPTS if files else 0):
            path, syntax = dice.choice(files)
            found = cut(dice, syntax)
            if found and (path, found[0]) not in seen and _fit(syntax.text, *found):
                seen.add((path, found[0]))
                yield Place(language=language, kind=kind, path=path, syntax=syntax, cursor=found[0], until=found[1], closers=found[2])
            if len(seen) == wanted:
                break


def _fit(text: str, cursor: int, until: int, closers: str) -> bool:
    """Whether there is text to write, it is not too long, and the cursor is not inside an escape."""
    written = text[cursor:until]
    visible = sum(not character.isspace() for character in written.removesuffix(closers))
    return visible >= LEAST_VISIBLE and len(written) <= MOST_CHARACTERS and written.count("\n") < MOST_LINES and text[cursor - 1 : cursor] != "\\"


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end


def _within(dice: random.Random, text: str, first: int, last: int) -> int:
    """A random cursor from `first` to `last`, mostly not inside a word."""
    cursor = dice.randint(first, last)
    while (
        dice.random() > IN_WORD and cursor > first and text[cursor - 1 : cursor + 1].replace("_", "a").isalnum() and text[cursor : cursor + 1].strip()
    ):
        cursor -= 1
    return cursor


# ---- auto-closed pairs


def _auto_closed(syntax: Syntax, cursor: int) -> tuple[int, int, str] | None:
    """The rest of the line is missing; the pairs that this line opened before the cursor are closed to its right."""
    text = syntax.text
    chain = syntax.enclosing(cursor, text.rfind("\n", 0, cursor) + 1)
    if not chain or (syntax.in_comment(cursor) and chain[0].kind != "comment"):
        return None
    return cursor, _line_end(text, chain[-1].end), "".join(text[pair.close : pair.end] for pair in chain)


def _pair(kind: str) -> Cut:
    """Inside a pair of this kind that ends on its line."""

    def cut(dice: random.Random, syntax: Syntax) -> tuple[int, int, str] | None:
        pair = _some(dice, [pair for pair in syntax.pairs if pair.kind == kind and "\n" not in syntax.text[pair.open : pair.end]])
        return _auto_closed(syntax, _within(dice, syntax.text, pair.inner, pair.close)) if pair else None

    return cut


def _long_pair(dice: random.Random, syntax: Syntax) -> tuple[int, int, str] | None:
    """Directly after an opener whose closer is on a later line: `{█}`."""
    pair = _some(dice, [pair for pair in syntax.pairs if syntax.text[pair.inner : pair.inner + 1] == "\n" and pair.kind == "bracket"])
    return _auto_closed(syntax, pair.inner) if pair else None


def _pattern(dice: random.Random, syntax: Syntax) -> tuple[int, int, str] | None:
    """Inside a pair, if the text to be written contains a regular expression or a comment."""
    spans = [*syntax.patterns, *syntax.comments]
    start = dice.choice(spans)[0] if spans else 0
    pairs = syntax.enclosing(start, syntax.text.rfind("\n", 0, start) + 1)
    if not pairs or syntax.in_comment(pairs[0].inner):
        return None
    return _auto_closed(syntax, _within(dice, syntax.text, pairs[0].inner, start))


def _inside(dice: random.Random, syntax: Syntax) -> tuple[int, int, str] | None:
    """Inside a pair of a complete line: the rest of the pair's contents is missing."""
    pair = _some(dice, [pair for pair in syntax.pairs if "\n" not in syntax.text[pair.open : pair.end]])
    return (_within(dice, syntax.text, pair.inner, pair.close), pair.close, "") if pair else None


def _some(dice: random.Random, pairs: Sequence[Pair]) -> Pair | None:
    return dice.choice(pairs) if pairs else None


# ---- lines


def _line_end_cut(dice: random.Random, syntax: Syntax) -> tuple[int, int, str] | None:
    """In a line without text after the cursor, open pairs or auto-closed pairs."""
    text = syntax.text
    cursor = dice.randrange(len(text))
    start, end = text.rfind("\n", 0, cursor) + 1, _line_end(text, cursor)
    first = start + len(text[start:end]) - len(text[start:end].lstrip())
    cursor = _within(dice, text, min(first + 1, end), end)
    return None if syntax.enclosing(cursor, start) or syntax.in_comment(cursor) else (cursor, end, "")


def _comment(dice: random.Random, syntax: Syntax) -> tuple[int, int, str] | None:
    """In a comment; the rest of its line is missing."""
    if not syntax.comments:
        return None
    first, last = dice.choice(syntax.comments)
    cursor = _within(dice, syntax.text, min(first + 3, last), last)
    return _auto_closed(syntax, cursor) or (cursor, _line_end(syntax.text, cursor), "")


def _block(dice: random.Random, syntax: Syntax) -> tuple[int, int, str] | None:
    """At the end of a line that opens a block. The lines of the block are missing; a closer below it exists."""
    text = syntax.text
    cursor = _line_end(text, dice.randrange(len(text)))
    start = text.rfind("\n", 0, cursor) + 1
    if not _OPENS_BLOCK.search(text[start:cursor]) or syntax.in_comment(cursor):
        return None
    end = _deeper_until(text, cursor, _indent(text[start:cursor]) + 1)
    return (cursor, end, "") if end > cursor else None


def _blank_line(dice: random.Random, syntax: Syntax) -> tuple[int, int, str] | None:
    """On a line that contains only its indentation; some lines are missing."""
    text = syntax.text
    start = text.rfind("\n", 0, dice.randrange(len(text))) + 1
    line = text[start : _line_end(text, start)]
    if not line.strip():
        return None
    white = len(line) - len(line.lstrip())
    end = _deeper_until(text, start + len(line), _indent(line), dice.randint(0, 5))
    return start + white, end, ""


def _deeper_until(text: str, end: int, least: int, most: int = MOST_LINES) -> int:
    """The end of the lines after `end` with at least the indentation `least`: at the first blank line or after `most` lines."""
    for _ in range(most):
        after = _line_end(text, end + 1)
        line = text[end + 1 : after]
        if not line.strip() or _indent(line) < least:
            return end
        end = after
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


KINDS: dict[str, Cut] = {
    "bracket": _pair("bracket"),
    "string": _pair("quote"),
    "template": _pair("interpolation"),
    "tag": _pair("tag"),
    "pair over lines": _long_pair,
    "regular expression or comment": _pattern,
    "inside a written line": _inside,
    "rest of the line": _line_end_cut,
    "comment": _comment,
    "block": _block,
    "blank line": _blank_line,
}
"""By the names in the table; those before `inside a written line` are auto-closed pairs."""
AUTO_CLOSED = frozenset(list(KINDS)[:6])
