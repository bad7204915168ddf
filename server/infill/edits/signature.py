"""Updates calls after a change of the signature: removes an argument, renames a keyword, or jumps to a call that needs a new argument. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from infill.edits import scopes, zones
from infill.edits.hunks import Hunk
from infill.edits.tokens import is_name
from infill.edits.types import Change, Situation, Suggestion, nearest
from infill.edits.zones import Place

LATEST_HUNKS = 2
MOST_CALLS = 50
_OPENERS, _CLOSERS = "([{", ")]}"
_NAME = re.compile(r"\b(?:def|function\s*\*?|func(?:\s*\([^)]*\))?|fn|fun)\s+([A-Za-z_$][\w$]*)\s*(?:<[^>(]*>)?\(|([A-Za-z_$][\w$]*)\s*\(")
_RECEIVERS = frozenset({"self", "cls"})
_OPTIONAL = re.compile(r"=|\?\s*:|\*\w|\.\.\.")
_LABEL = re.compile(r"\s*([\w$]+)\s*=(?!=)")


class Signature(NamedTuple):
    """The name and the parameters of a function."""

    name: str
    parameters: tuple[str, ...]
    """The names of the parameters."""
    optional: frozenset[str] = frozenset()
    """Names of parameters that calls may omit."""


class Difference(NamedTuple):
    """The difference of two parameter lists: one of the three is a parameter's number, the others are -1."""

    removed: int = -1
    added: int = -1
    renamed: int = -1


class Changed(NamedTuple):
    """A function whose parameters were changed."""

    start: int
    old: Signature
    new: Signature
    what: Difference
    shift: int
    """1 if calls omit the first parameter, such as `self`."""

    @property
    def before(self) -> str:
        """The name of the removed parameter."""
        return self.old.parameters[max(self.what)]

    @property
    def after(self) -> str:
        """The name of the added parameter."""
        return self.new.parameters[max(self.what)]


def suggest(situation: Situation) -> Suggestion | None:
    """The nearest call that does not match the changed signature."""
    for hunk in situation.newest(LATEST_HUNKS):
        changed = _changed(situation, hunk)
        calls = _calls(situation, changed) if changed is not None else []
        if changed is not None and calls and (found := _suggestion(situation, changed, calls)) is not None:
            return found
    return None


def _changed(situation: Situation, hunk: Hunk) -> Changed | None:
    lines, language = situation.lines, situation.language
    start = _header(lines, hunk)
    if start is None:
        return None
    old = parsed([*lines[start : hunk.first], *hunk.old, *lines[hunk.end : hunk.end + 20]], language)
    new = parsed(lines[start : hunk.end + 20], language)
    if old is None or new is None or old.name != new.name:
        return None
    what = difference(old, new)
    shift = int(bool(old.parameters) and old.parameters[0] in _RECEIVERS)
    return Changed(start, old, new, what, shift) if what is not None and max(what) >= shift else None


def _header(lines: Sequence[str], hunk: Hunk) -> int | None:
    """The first line of the signature that the hunk is in."""
    if not hunk.new or hunk.first >= len(lines):
        return None
    for number in range(hunk.first, max(-1, hunk.first - scopes.MOST_LINES_OF_SIGNATURE), -1):
        if scopes.is_function(lines, number):
            return number
        if number < hunk.first and lines[number].rstrip().endswith((";", "}", ":", "{")):
            return None
    return None


def parsed(lines: Sequence[str], language: str) -> Signature | None:
    """The signature at the beginning of a text."""
    text = "\n".join(lines[: scopes.MOST_LINES_OF_SIGNATURE])
    match = _NAME.search(text)
    found = arguments(text, match.end() - 1) if match is not None and "\n" not in text[: match.start()] else None
    if match is None or found is None:
        return None
    parameters = [text[start:end].strip() for start, end in found]
    names = tuple(_name(one, language) for one in parameters)
    return Signature(match[1] or match[2], names, frozenset(name for name, one in zip(names, parameters, strict=True) if _OPTIONAL.search(one)))


def arguments(text: str, opened: int) -> list[tuple[int, int]] | None:
    """The ranges of the arguments in the parentheses that open at `opened`; None if they are not closed."""
    depth, start, quote = 0, opened + 1, ""
    found: list[tuple[int, int]] = []
    for index in range(opened, len(text)):
        sign = text[index]
        if quote:
            quote = "" if sign == quote and text[index - 1] != "\\" else quote
        elif sign in "\"'`":
            quote = sign
        elif sign in _OPENERS:
            depth += 1
        elif sign in _CLOSERS:
            depth -= 1
            if depth == 0:
                return [*found, (start, index)] if text[start:index].strip() else found
        elif sign == "," and depth == 1:
            found.append((start, index))
            start = index + 1
    return None


def difference(before: Signature, after: Signature) -> Difference | None:
    """The one parameter in which two signatures differ; None if there is none or more, or if calls need no change."""
    old, new = list(before.parameters), list(after.parameters)
    if len(old) == len(new):
        changed = [number for number, (one, other) in enumerate(zip(old, new, strict=True)) if one != other]
        return Difference(renamed=changed[0]) if len(changed) == 1 and len(set(new)) == len(new) else None
    longer, shorter = (old, new) if len(old) > len(new) else (new, old)
    if len(longer) != len(shorter) + 1:
        return None
    at = next(number for number, one in enumerate([*shorter, ""]) if one != longer[number])
    if longer[:at] + longer[at + 1 :] != shorter:
        return None
    if longer is old:
        return Difference(removed=at)
    return None if longer[at] in after.optional or not is_name(longer[at]) else Difference(added=at)


def _name(parameter: str, language: str) -> str:
    """The name in a parameter, before or after its type."""
    plain = parameter.split("=", maxsplit=1)[0].strip()
    if language in scopes.TYPE_FIRST:
        found = re.findall(r"[\w$]+", plain.split("[")[0])
        return found[-1] if found else plain
    match = re.match(r"(?:&\s*)?(?:mut\s+)?([\w$]+)\??", plain.split(":")[0].strip())
    return match[1] if match else plain


def _calls(situation: Situation, changed: Changed) -> list[Place]:
    """The calls of a function; none if another function has its name, or if there are too many."""
    lines, name = situation.lines, changed.old.name
    found: list[Place] = []
    places = zones.occurrences(lines, name, situation.language)
    for place in places if len(places) <= MOST_CALLS else []:
        before, follows = lines[place.line][: place.column].rstrip(), lines[place.line][place.column + len(name) :]
        if place.zone != "code" or place.line == changed.start or not re.match(r"\s*\(", follows):
            continue
        if scopes.role(lines, place.line, place.column, name, situation.language) is not None:
            return []
        if before.endswith((".", "->", "::")) == bool(changed.shift):
            found.append(place)
    return found


def _suggestion(situation: Situation, changed: Changed, calls: list[Place]) -> Suggestion | None:
    if changed.what.added >= 0:
        counts = len(changed.old.parameters) - changed.shift
        lines = [place.line for place in calls if (given := _given(situation.lines[place.line], place)) is not None and len(given) == counts]
        return _told(changed, nearest(lines, changed.start)[0], calls, {}) if lines else None
    changes: dict[int, Change] = {}
    for place in calls:
        text = _carried_over(situation.lines[place.line], place, changed)
        if text is not None:
            changes[place.line] = Change(place.line, place.line + 1, (text,))
    return _told(changed, nearest(sorted(changes), changed.start)[0], calls, changes) if changes else None


def _told(changed: Changed, line: int, calls: list[Place], changes: dict[int, Change]) -> Suggestion:
    name = changed.old.name
    if changed.what.removed >= 0:
        did = f"removed `{changed.before}` from `{name}`"
    elif changed.what.added >= 0:
        did = f"added `{changed.after}` to `{name}`"
    else:
        did = f"renamed `{changed.before}` of `{name}` to `{changed.after}`"
    return Suggestion(
        kind="edit" if changes else "jump",
        source="signature",
        reason=f"you {did} on line {changed.start + 1}",
        group=f"signature {name} {changed.old.parameters} {changed.new.parameters}",
        change=changes.get(line),
        line=line,
        index=next(place.column for place in calls if place.line == line),
        rest=tuple(changes[at] for at in sorted(changes)),
    )


def _given(line: str, place: Place) -> list[tuple[int, int]] | None:
    """The arguments of a call on one line without unpacking."""
    found = arguments(line, line.index("(", place.column))
    if found is None or any(re.match(r"\s*(?:\*|\.\.\.)", line[start:end]) for start, end in found):
        return None
    return found


def _carried_over(line: str, place: Place, changed: Changed) -> str | None:
    """The line with the call changed to the new signature; None if it matches or is unclear."""
    given = _given(line, place)
    if given is None:
        return None
    labels = [match[1] if (match := _LABEL.match(line[start:end])) else "" for start, end in given]
    if changed.what.renamed >= 0:
        if changed.before not in labels:
            return None
        at = line.index(changed.before, given[labels.index(changed.before)][0])
        return line[:at] + changed.after + line[at + len(changed.before) :]
    at = labels.index(changed.before) if changed.before in labels else changed.what.removed - changed.shift
    if len(given) != len(changed.old.parameters) - changed.shift or (labels[at] and labels[at] != changed.before):
        return None
    start, end = given[at]
    if at:
        start = given[at - 1][1]
    elif len(given) > 1:
        behind = line[given[1][0] :]
        end = given[1][0] + len(behind) - len(behind.lstrip())
    return line[:start] + line[end:]
