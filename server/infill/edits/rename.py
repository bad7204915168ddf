"""Complete a rename: a definition's name was changed, and the old name remains in the same scope. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from infill.edits import scopes, zones
from infill.edits.hunks import Hunk
from infill.edits.scopes import Block, Role
from infill.edits.tokens import KEYWORDS, aligned, is_name, pairs, tokens, written
from infill.edits.types import Change, Situation, Suggestion, nearest
from infill.edits.zones import Place

MOST_PLACES = 50
SHORTEST_NAME = 2
LATEST_HUNKS = 3
"""Number of newest hunks that may contain the definition."""
_MEMBER = re.compile(r"(?:(?<!\.)\.|\?\.|::)\s*\Z")
_ARROWS = frozenset({"c", "cpp", "php", "objective-c", "objective-cpp", "cuda-cpp", "perl"})
"""Languages with `->` before a member."""
_SHORTHAND = frozenset({"javascript", "typescript", "javascriptreact", "typescriptreact", "rust"})


class Renamed(NamedTuple):
    """A definition whose name was changed."""

    line: int
    column: int
    old: str
    new: str
    role: Role


def suggest(situation: Situation) -> Suggestion | None:
    """The nearest line with the old name, changed to the new name."""
    for hunk in situation.newest(LATEST_HUNKS):
        for renamed in _renames(situation, hunk):
            if (found := _suggestion(situation, renamed)) is not None:
                return found
    return None


def renamed_in(old: str, new: str) -> tuple[int, str, str] | None:
    """Index in the new line, old name and new name, if exactly one name of the line was changed."""
    before, after = tokens(old), tokens(new)
    if not before or len(before) != len(after):
        return None
    changed = {(one, other) for one, other in zip(before, after, strict=True) if one != other}
    if len(changed) != 1:
        return None
    name, other = next(iter(changed))
    if not _is_variable(name) or not _is_variable(other) or len(other) < SHORTEST_NAME or name in after:
        return None
    at = next(number for number, (one, two) in enumerate(zip(before, after, strict=True)) if one != two)
    return sum(map(len, after[:at])), name, other


def _is_variable(name: str) -> bool:
    return is_name(name) and name not in KEYWORDS


def _renames(situation: Situation, hunk: Hunk) -> list[Renamed]:
    found = []
    changes = [(line, renamed_in(old, new)) for line, old, new in pairs(hunk)]
    if len(hunk.old) != len(hunk.new) or len({change[1:] for _, change in changes if change}) != 1 or not all(change for _, change in changes):
        return []  # text was rewritten, not only renamed
    for line, change in changes:
        index, name, other = change or (0, "", "")
        if other.strip("_") == name.strip("_"):
            continue  # marked as unused or private, which need not apply to other uses
        role = scopes.role(situation.lines, line, index, other, situation.language)
        if role is not None:
            found.append(Renamed(line, index, name, other, role))
    return found


def _suggestion(situation: Situation, renamed: Renamed) -> Suggestion | None:
    scope = scope_of(situation.lines, renamed.line, renamed.role, situation.language)
    places = _places(situation, renamed, scope)
    if not places or len(places) > MOST_PLACES or _taken(situation, renamed, scope) or _still_used(situation, renamed, places):
        return None
    changes = {line: _change(situation, line, [place for place in places if place.line == line], renamed) for line in {one.line for one in places}}
    order = nearest(sorted(changes), renamed.line if situation.cursor[0] not in scope else situation.cursor[0])
    return Suggestion(
        kind="rename",
        source="rename",
        reason=f"you renamed `{renamed.old}` to `{renamed.new}` on line {renamed.line + 1}",
        group=f"rename {renamed.old} {renamed.new}",
        change=changes[order[0]],
        line=order[0],
        index=next(place.column for place in places if place.line == order[0]) + len(renamed.new),
        rest=tuple(changes[line] for line in sorted(changes)),
    )


def scope_of(lines: Sequence[str], line: int, role: Role, language: str) -> Block:
    """The lines in which a definition is visible."""
    whole = Block(0, len(lines))
    if role in {"function", "type", "member", "import"}:
        header = scopes.function_around(lines, line) if role in {"function", "import"} else None
        inside = header is not None and header != scopes.function_around(lines, line) and header != line
        return scopes.block_from(lines, header) if inside and header is not None else whole
    around = scopes.function_around(lines, line)
    if role == "local" and language not in scopes.INDENTED and (header := scopes.header_of(lines, line)) is not None:
        around = header
    return scopes.block_from(lines, around) if around is not None else whole


def _places(situation: Situation, renamed: Renamed, scope: Block) -> list[Place]:
    lines, language = situation.lines, situation.language
    found = [place for place in zones.occurrences(lines, renamed.old, language, scope.first, scope.end) if place.zone == "code"]
    if len(found) > MOST_PLACES:
        return found
    used = []
    hidden: list[Block] = []
    for place in found:
        other = scopes.role(lines, place.line, place.column, renamed.old, language)
        if other is None or (other == "member") != (renamed.role == "member"):
            used.append(place)
        elif other in {"parameter", "local"} and renamed.role != "member":
            own = scope_of(lines, place.line, other, language)
            if own != scope and own.first >= scope.first and own.end <= scope.end:
                hidden.append(own)
            elif renamed.role == "parameter" and language in scopes.INDENTED:
                used.append(place)
            else:
                return []
        else:
            return []
    return [place for place in used if _means(lines, place, renamed, language) and not any(place.line in block for block in hidden)]


def _means(lines: Sequence[str], place: Place, renamed: Renamed, language: str) -> bool:
    """Whether a use may refer to the renamed definition: members follow a dot, variables do not, and labels of arguments are neither."""
    line = lines[place.line]
    before, follows = line[: place.column], line[place.column + len(renamed.old) :].lstrip()
    behind_dot = _MEMBER.search(before) is not None or (language in _ARROWS and before.rstrip().endswith("->"))
    label = re.search(r"[(,{]\s*\Z|^\s*\Z", before) is not None
    keyword = language in scopes.INDENTED and label and _in_parentheses(lines, place) and follows.startswith("=") and not follows.startswith("==")
    key = label and follows.startswith(":") and not follows.startswith("::") and language not in scopes.INDENTED and "?" not in before
    if renamed.role == "member":
        return behind_dot or (key and before.strip() != "case")
    if renamed.role in {"function", "type", "import"} and behind_dot:
        return before.rstrip().endswith("::") and renamed.role != "import"
    return not behind_dot and not keyword and not key


def _in_parentheses(lines: Sequence[str], place: Place) -> bool:
    before = lines[place.line][: place.column]
    return before.count("(") > before.count(")") or not before.strip()


def _taken(situation: Situation, renamed: Renamed, scope: Block) -> bool:
    """Whether the new name was already in the scope; then the old name is something else."""
    changed = [hunk for hunk in situation.hunks if hunk.first <= scope.end and scope.first <= hunk.end]
    for place in zones.occurrences(situation.lines, renamed.new, situation.language, scope.first, scope.end):
        if place.zone != "code" or not _means(situation.lines, place, Renamed(0, 0, renamed.new, renamed.new, renamed.role), situation.language):
            continue
        if not any(_came(hunk, place, renamed) for hunk in changed):
            return True
    return False


def _still_used(situation: Situation, renamed: Renamed, places: Sequence[Place]) -> bool:
    """Whether an edit inserted the old name at a new place; then it is the name of something else."""
    lines = {place.line for place in places}
    rows = [row for hunk in situation.hunks for row in aligned(hunk) if row[0] in lines and row[2] is not None]
    return any(renamed.old in written(old or "", new or "") for _, old, new in rows)


def _came(hunk: Hunk, place: Place, renamed: Renamed) -> bool:
    """Whether the new name was inserted here by an edit."""
    if not hunk.first <= place.line < hunk.end:
        return False
    before = next((old for line, old, _ in pairs(hunk) if line == place.line), "")
    return renamed.new not in tokens(before)


def _change(situation: Situation, line: int, places: list[Place], renamed: Renamed) -> Change:
    text = situation.lines[line]
    for place in reversed(places):
        end = place.column + len(renamed.old)
        new = renamed.new
        if situation.language in _SHORTHAND and renamed.role != "member" and _is_shorthand(text, place.column, end):
            new = f"{renamed.old}: {renamed.new}"
        text = text[: place.column] + new + text[end:]
    return Change(line, line + 1, (text,))


def _is_shorthand(text: str, start: int, end: int) -> bool:
    """Whether it is a shorthand like `{ name }` or `{ a, name }`, not in a string; there the name is also a key."""
    before, after = text[:start], text[end:]
    if before.count('"') % 2 or before.count("`") % 2:
        return False
    opener = max(before.rfind(sign) for sign in "{([")
    return opener >= 0 and before[opener] == "{" and re.search(r"[{,]\s*\Z", before) is not None and re.match(r"\s*[,}]", after) is not None
