"""Repeat an edit on lines of the same shape: after two such edits, or after one if at least two more lines match. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from infill.edits.hunks import Hunk
from infill.edits.rename import renamed_in
from infill.edits.scopes import role
from infill.edits.tokens import KEYWORDS, indentation, is_import, is_name, kind, opcodes, pairs, shape, tokens
from infill.edits.types import Change, Situation, Suggestion, group_of

LATEST_HUNKS = 6
MORE_LINES = 2
"""Number of further lines that have to match if there is only one example."""
SKIPPED = 2
"""Number of matching lines between two examples from which the edit was not intended for them."""
ALIKE = 0.5
"""Minimum share of equal words in two lines of the same shape."""
COMMON_TOKENS = 4
"""Minimum number of common tokens of the examples if none of them is an unchanged word."""
FARTHEST = 60
"""Maximum number of lines between an example and a matching line."""


class Example(NamedTuple):
    """One edited line."""

    line: int
    old: str
    new: str
    order: int


class Part(NamedTuple):
    """A part of the text that an edit writes: literal text, or a token of the line."""

    text: str
    token: int = -1
    quote: str = ""


class Rewrite(NamedTuple):
    """An edit of a line's tokens: the spans, and what replaces them."""

    spans: tuple[tuple[int, int], ...]
    parts: tuple[tuple[Part, ...], ...]

    def apply(self, line: str) -> str:
        """The line after the edit; it must have the shape of the example."""
        found = list(tokens(line.strip()))
        for (start, end), parts in reversed(tuple(zip(self.spans, self.parts, strict=True))):
            found[start:end] = [_written(part, tokens(line.strip())) for part in parts]
        return indentation(line) + "".join(found)


def suggest(situation: Situation, *, singles: bool = True) -> Suggestion | None:
    """The same edit on the next line that matches the edited lines. `singles`: one example is enough if several lines match."""
    examples = _examples(situation, situation.newest(LATEST_HUNKS))
    if not examples:
        return None
    newest, others = examples[0], [*examples[1:], *_examples(situation, situation.accepted())]
    rewrite = learned(newest.old, newest.new)
    others = [one for one in others if alike(one.old, newest.old) and rewrite.apply(one.old) == one.new and one.line != newest.line]
    lines = _candidates(situation, newest, others, rewrite)
    if not lines or _skipped(lines, newest, others) or not _in_context(newest, others, rewrite):
        return None
    if not others and (not singles or not _in_a_row(lines, newest) or _is_rename(situation, newest)):
        return None
    return _suggestion(situation, newest, others, rewrite, lines)


def learned(old: str, new: str) -> Rewrite:
    """The edit from `old` to `new`, without their indentation."""
    before, after = tokens(old.strip()), tokens(new.strip())
    changes = opcodes(before, after)
    parts = tuple(tuple(_part(token, before) for token in after[c:d]) for _, _, c, d in changes)
    return Rewrite(tuple((a, b) for a, b, _, _ in changes), parts)


def alike(one: str, other: str) -> bool:
    """Whether two lines have the same shape and share at least one name or keyword and half of their words."""
    left, right = tokens(one.strip()), tokens(other.strip())
    if not left or len(left) != len(right) or [kind(token) for token in left] != [kind(token) for token in right]:
        return False
    same = [token for token, twin in zip(left, right, strict=True) if token == twin and not token.isspace()]
    count = sum(not token.isspace() for token in left)
    return len(same) >= ALIKE * count and any(is_name(token) for token in same)


def _examples(situation: Situation, hunks: Sequence[Hunk]) -> list[Example]:
    found: list[Example] = []
    for hunk in hunks:
        lines = [Example(line, old, new, hunk.order) for line, old, new in pairs(hunk) if old.strip() and new.strip()]
        # within a hunk, the order of the lines gives the user's direction
        lines.sort(key=lambda one: abs(one.line - situation.cursor[0]))
        found += lines
    return [one for one in found if tokens(one.old) and tokens(one.new) and indentation(one.old) == indentation(one.new) and not is_import(one.old)]


def _part(token: str, before: Sequence[str]) -> Part:
    if is_name(token) and token not in KEYWORDS and token in before:
        return Part(token, before.index(token))
    if token[:1] in "\"'" and token[1:-1] in before and is_name(token[1:-1]):
        return Part(token, before.index(token[1:-1]), token[0])
    return Part(token)


def _written(part: Part, line: Sequence[str]) -> str:
    return part.text if part.token < 0 else f"{part.quote}{line[part.token]}{part.quote}"


def _candidates(situation: Situation, newest: Example, others: list[Example], rewrite: Rewrite) -> list[int]:
    changed = {line for hunk in situation.hunks for line in range(hunk.first, hunk.end)}
    wanted, depth = shape(newest.old), indentation(newest.old)
    # in the user's direction: downward, unless an earlier example is below
    up = bool(others) and others[0].line > newest.line
    first, last = (max(0, newest.line - FARTHEST), newest.line) if up else (newest.line + 1, newest.line + FARTHEST + 1)
    found = []
    for line, text in enumerate(situation.lines[first:last], first):
        if line in changed or (not others and indentation(text) != depth) or len(text) > 2 * len(newest.old) + 40 or shape(text) != wanted:
            continue
        if alike(text, newest.old) and _fits(text, newest, others, rewrite) and rewrite.apply(text) != text:
            found.append(line)
    return found


def _fits(text: str, newest: Example, others: list[Example], rewrite: Rewrite) -> bool:
    """Whether a line has what all examples have in common, and what the edit replaces."""
    line = tokens(text.strip())
    olds = [tokens(one.old.strip()) for one in (newest, *others)]
    replaced = {number for start, end in rewrite.spans for number in range(start, end)}
    for number, token in enumerate(olds[0]):
        common = all(old[number] == token for old in olds)
        if common and (others or number in replaced) and line[number] != token:
            return False
    return True


def _in_context(newest: Example, others: list[Example], rewrite: Rewrite) -> bool:
    """Whether the examples share enough: an unchanged word, or several tokens. `name: str` alone does not show which types to change."""
    replaced = {number for start, end in rewrite.spans for number in range(start, end)}
    rows = list(zip(*(tokens(one.old.strip()) for one in (newest, *others)), strict=True))
    common = [number for number, row in enumerate(rows) if len(set(row)) == 1 and not row[0].isspace()]
    return len(common) >= COMMON_TOKENS or any(
        kind(rows[number][0]) != rows[number][0] or is_name(rows[number][0]) for number in set(common) - replaced
    )


def _skipped(lines: Sequence[int], newest: Example, others: list[Example]) -> bool:
    if not others:
        return False
    low, high = sorted((newest.line, others[0].line))
    return sum(low < line < high for line in lines) >= SKIPPED


def _in_a_row(lines: Sequence[int], newest: Example) -> bool:
    """Whether the directly following lines match."""
    return list(lines[:MORE_LINES]) == [newest.line + 1 + number for number in range(MORE_LINES)]


def _is_rename(situation: Situation, example: Example) -> bool:
    """Whether the edit only renames a definition; other definitions have their own names."""
    renamed = renamed_in(example.old, example.new)
    if renamed is None:
        return False
    index, _, new = renamed
    return role(situation.lines, example.line, index, new, situation.language) is not None


def _suggestion(situation: Situation, newest: Example, others: list[Example], rewrite: Rewrite, lines: list[int]) -> Suggestion:
    changes = {line: Change(line, line + 1, (rewrite.apply(situation.lines[line]),)) for line in lines}
    where = sorted({newest.line + 1, *(one.line + 1 for one in others[:1])})
    told = f"line {where[0]}" if len(where) == 1 else f"lines {where[0]} and {where[1]}"
    group = f"repeat {newest.old.strip()} {newest.new.strip()}"
    return group_of(changes, newest.line, source="repeat", reason=f"you made the same edit on {told}", group=group)
