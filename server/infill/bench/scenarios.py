"""Scenarios of next edits: text files with edits, and the edits that must be suggested next, or none.

    language: python
    kind: rename
    == before         the original text
    == edit           a change: lines with `-` are removed, with `+` added, with a blank kept; removed and kept lines locate it
    == undo           the last change is undone
    == paste          a change in one event, as from a paste or a formatter
    == problem TEXT   a new error; below it the line it is reported on
    == expect         an expected suggestion, as a change; all of them must be suggested, in any order, and nothing else
    == jump           a line that must be offered as a jump target
    == quiet          nothing may be suggested

The cursor is at the end of the last added line; a line `== cursor` names another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

FOLDER = Path(__file__).parent / "scenarios"
_SECTION = re.compile(r"^== (\w+) ?(.*)$", re.MULTILINE)
_KINDS = frozenset({"before", "edit", "undo", "paste", "problem", "expect", "jump", "quiet", "cursor"})


class ScenarioError(ValueError):
    """A scenario file is invalid."""


class Diff(msgspec.Struct, frozen=True):
    """Lines to find, and their replacement."""

    old: tuple[str, ...]
    new: tuple[str, ...]

    def place(self, lines: Sequence[str]) -> int:
        """The position of the lines. Raises ScenarioError if they are missing or not unique."""
        count = len(self.old)
        found = [at for at in range(len(lines) - count + 1) if tuple(lines[at : at + count]) == self.old]
        if len(found) != 1:
            raise ScenarioError(f"{self.old} stands in {len(found)} places, not in one")
        return found[0]

    def apply(self, lines: Sequence[str]) -> list[str]:
        at = self.place(lines)
        return [*lines[:at], *self.new, *lines[at + len(self.old) :]]


class Step(msgspec.Struct, frozen=True):
    """One step before the request."""

    kind: Literal["edit", "undo", "paste", "problem", "cursor"]
    diff: Diff = Diff((), ())
    text: str = ""


class Scenario(msgspec.Struct, frozen=True):
    """One scenario file."""

    name: str
    language: str
    kind: str
    before: tuple[str, ...]
    steps: tuple[Step, ...]
    expected: tuple[Diff, ...]
    jumps: tuple[str, ...]

    @property
    def quiet(self) -> bool:
        return not self.expected and not self.jumps


def load(folder: Path = FOLDER) -> list[Scenario]:
    """All scenarios below a folder, by name. Raises ScenarioError."""
    return [parse(path.read_text(encoding="utf-8"), path.relative_to(folder).with_suffix("").as_posix()) for path in sorted(folder.rglob("*.txt"))]


def parse(text: str, name: str) -> Scenario:
    """One scenario. Raises ScenarioError."""
    try:
        return _parsed(text, name)
    except (KeyError, IndexError, ScenarioError) as exc:
        raise ScenarioError(f"The scenario {name} cannot be read: {exc!r}.") from exc


def _parsed(text: str, name: str) -> Scenario:
    sections = list(_sections(text))
    said = dict(re.findall(r"^(\w+): *(.*)$", text[: _first(text)], re.MULTILINE))
    before = next(body for kind, _, body in sections if kind == "before")
    steps = tuple(_step(kind, rest, body) for kind, rest, body in sections if kind in {"edit", "undo", "paste", "problem", "cursor"})
    expected = tuple(_diff(body) for kind, _, body in sections if kind == "expect")
    jumps = tuple(body[0] for kind, _, body in sections if kind == "jump")
    if bool(expected or jumps) == any(kind == "quiet" for kind, _, _ in sections):
        raise ScenarioError("it has to expect something or to be quiet")
    return Scenario(name, said["language"], said["kind"], tuple(before), steps, expected, jumps)


def _first(text: str) -> int:
    match = _SECTION.search(text)
    return match.start() if match else len(text)


def _sections(text: str) -> Iterator[tuple[str, str, list[str]]]:
    marks = list(_SECTION.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        if mark[1] not in _KINDS:
            raise ScenarioError(f"there is no section {mark[1]}")
        body = text[mark.end() + 1 : following.start() if following else len(text)]
        yield mark[1], mark[2], body.removesuffix("\n").split("\n")


def _step(kind: str, rest: str, body: list[str]) -> Step:
    if kind in {"edit", "paste"}:
        return Step(kind, _diff(body))  # type: ignore[arg-type]
    return Step(kind, text=rest, diff=Diff(tuple(body[:1]), ()))  # type: ignore[arg-type]


def _diff(body: list[str]) -> Diff:
    lines = [line or " " for line in body]
    if wrong := [line for line in lines if line[0] not in " +-"]:
        raise ScenarioError(f"{wrong[0]!r} begins with neither `+`, `-` nor a blank")
    return Diff(tuple(line[1:] for line in lines if line[0] != "+"), tuple(line[1:] for line in lines if line[0] != "-"))
