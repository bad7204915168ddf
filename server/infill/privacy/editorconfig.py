"""Indentation from `.editorconfig` files (https://spec.editorconfig.org): the nearest file takes precedence, `root = true` ends the search.

The content is untrusted: only regular files of bounded size inside the workspace folder are read. All files together get a bounded number of steps;
if they need more, there are no properties.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from infill.privacy import workspace_files

NAME = ".editorconfig"
MOST_SECTIONS = 500
LONGEST_PATTERN = 1024
"""Characters of a section's name: the specification's minimum."""
MOST_BRANCHES = 200
"""Maximum number of patterns from the braces of one section's name."""
MOST_STEPS = 1_000_000
"""Steps for all files that apply to one document, of about 0.2 us each."""
LINE_STEPS = 40
"""Steps for reading one line."""
PIECE_STEPS = 10
"""Steps for one piece of a pattern, in addition to the characters that it may match."""
WIDEST = 16
"""Columns; a larger indentation or tab width is ignored as a mistake."""
_SECTION = re.compile(r"\[(.*)\]\s*(?:[#;].*)?$")
_BRACES = re.compile(r"(?<!\\)\{([^{}]*)\}")
_RANGE = re.compile(r"([+-]?\d{1,9})\.\.([+-]?\d{1,9})")
_PIECE = re.compile(r"\*\*|\*|\?|\[!?[^\]/]+\]|\\.|.", re.DOTALL)
WANTED = frozenset({"indent_style", "indent_size", "tab_width"})


def properties(path: Path, folder: Path) -> dict[str, str]:
    """The indentation properties of the file at `path`, in lower case; `folder` is the workspace folder that contains it."""
    found: dict[str, str] = {}
    budget = Budget()
    try:
        for place in path.parents:
            said, is_root = _parsed(_text(place / NAME, folder), path.relative_to(place).as_posix(), budget)
            found = said | found
            if is_root or place == folder:
                break
    except TooMuch:
        return {}
    return {name: value for name, value in found.items() if value != "unset"}


class TooMuch(Exception):
    """The files need more steps than MOST_STEPS."""


class Budget:
    """Counts steps instead of time, so that the same files have the same result on every machine."""

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self.left = steps

    def take(self, steps: int) -> None:
        """Raises TooMuch."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch


def columns(said: str | None) -> int:
    """A property's number of columns; 0 where it has none."""
    return int(said) if said and said.isascii() and said.isdigit() and len(said) <= 2 and 0 < int(said) <= WIDEST else 0


def _text(file: Path, folder: Path) -> str:
    try:
        return workspace_files.read_text(file, folder) or ""
    except workspace_files.NotRead:
        return ""


def _parsed(text: str, name: str, budget: Budget) -> tuple[dict[str, str], bool]:
    """One file's properties for `name`, a path relative to its folder, and whether it ends the search."""
    found: dict[str, str] = {}
    applies, is_root, sections = False, False, 0
    for line in map(str.strip, text.split("\n")):
        budget.take(LINE_STEPS)
        if not line or line[0] in "#;":
            continue
        if section := _SECTION.match(line) if line[0] == "[" else None:
            sections += 1
            applies = sections <= MOST_SECTIONS and matches(section[1], name, budget)
            continue
        key, _, value = (part.strip().lower() for part in line.partition("="))
        value = re.split(r"\s[#;]", value, maxsplit=1)[0].strip()
        if applies and key in WANTED:
            found[key] = value
        is_root = is_root or (not sections and (key, value) == ("root", "true"))
    return found, is_root


def matches(pattern: str, name: str, budget: Budget) -> bool:
    """Whether a section's pattern matches the file at `name`, a relative path. Without a slash it matches in every folder. Raises TooMuch."""
    if len(pattern) > LONGEST_PATTERN or len(name) > LONGEST_PATTERN * 4:
        return False
    if "/" not in pattern:
        name = name.rpartition("/")[2]
    return any(_matches(branch.lstrip("/"), name, budget) for branch in _branches(pattern, budget))


def _branches(pattern: str, budget: Budget) -> list[str]:
    """The patterns from expanding `{a,b}` and `{1..3}`, within bounds."""
    waiting, done = [pattern], list[str]()
    while waiting and len(waiting) + len(done) <= MOST_BRANCHES:
        one = waiting.pop()
        budget.take(len(one))
        braces = next((match for match in _BRACES.finditer(one) if "," in match[1] or _RANGE.fullmatch(match[1])), None)
        if braces is None:
            done.append(one)
            continue
        waiting += [one[: braces.start()] + choice + one[braces.end() :] for choice in _choices(braces[1])]
    return done


def _choices(inside: str) -> list[str]:
    if numbers := _RANGE.fullmatch(inside):
        low, high = sorted((int(numbers[1]), int(numbers[2])))
        return [str(number) for number in range(low, min(high, low + MOST_BRANCHES) + 1)]
    return inside.split(",")


def _matches(pattern: str, name: str, budget: Budget) -> bool:
    """Whether a pattern without braces matches `name`; takes at most len(pattern) * len(name) steps."""
    ends = {0}
    for piece in _PIECE.findall(pattern):
        if piece in {"*", "**"}:
            ends = _after_star(name, ends, across=piece == "**")
        else:
            means = _meaning(piece)
            ends = {start + 1 for start in ends if start < len(name) and means(name[start])}
        budget.take(PIECE_STEPS + len(ends) + len(piece) ** 2)
        if not ends:
            return False
    return len(name) in ends


def _after_star(name: str, starts: set[int], *, across: bool) -> set[int]:
    """The possible ends of a star that begins at one of `starts`."""
    found: set[int] = set()
    for start in sorted(starts):
        if start not in found:  # else all its ends are already in it
            slash = -1 if across else name.find("/", start)
            found.update(range(start, (len(name) if slash < 0 else slash) + 1))
    return found


def _meaning(piece: str) -> Callable[[str], bool]:
    """A predicate for the characters that a piece of a pattern matches; the piece is not a star."""
    if piece == "?":
        return lambda character: character != "/"
    if len(piece) > 2 and piece[0] == "[":
        inverse = piece[1] == "!"
        members = _members(piece[2 if inverse else 1 : -1])
        return lambda character: (character in members) is not inverse
    return lambda character: character == piece[-1]


def _members(inside: str) -> set[str]:
    """The characters of `a-z0-9_`."""
    members = set(inside)
    for first, last in re.findall(r"([\w])-([\w])", inside):
        members |= {chr(code) for code in range(ord(first), min(ord(last), ord(first) + 128) + 1)}
    return members
