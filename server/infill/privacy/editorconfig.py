"""What `.editorconfig` says of a file's indentation (https://spec.editorconfig.org): the nearest file counts most, `root = true` ends the search.

Its content is untrusted: only regular files inside the workspace's folder are read, bounded in size, and all files together get a bounded number
of steps. Where they need more, no property is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from infill.privacy import workspace_files

NAME = ".editorconfig"
MOST_SECTIONS = 500
LONGEST_PATTERN = 1024
"""Characters of a section's name: what the specification asks for."""
MOST_BRANCHES = 200
"""Patterns that the braces of one section's name stand for."""
MOST_STEPS = 1_000_000
"""Steps for all files that apply to one document, of about 0.2 us each."""
LINE_STEPS = 40
"""What reading one line counts."""
PIECE_STEPS = 10
"""What one piece of a pattern counts beside the characters that it may stand for."""
WIDEST = 16
"""Columns; wider levels and tabs are a mistake."""
_SECTION = re.compile(r"\[(.*)\]\s*(?:[#;].*)?$")
_BRACES = re.compile(r"(?<!\\)\{([^{}]*)\}")
_RANGE = re.compile(r"([+-]?\d{1,9})\.\.([+-]?\d{1,9})")
_PIECE = re.compile(r"\*\*|\*|\?|\[!?[^\]/]+\]|\\.|.", re.DOTALL)
WANTED = frozenset({"indent_style", "indent_size", "tab_width"})


def properties(path: Path, folder: Path) -> dict[str, str]:
    """The properties about indentation of the file at `path`, in lower case; `folder` is the workspace folder that it lies in."""
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
    """Counts steps, so that the same files have the same outcome on every machine."""

    def __init__(self, steps: int = MOST_STEPS) -> None:
        self.left = steps

    def take(self, steps: int) -> None:
        """Raises TooMuch."""
        self.left -= steps
        if self.left < 0:
            raise TooMuch


def columns(said: str | None) -> int:
    """A property's number of columns; 0 where it says none."""
    return int(said) if said and said.isascii() and said.isdigit() and len(said) <= 2 and 0 < int(said) <= WIDEST else 0


def _text(file: Path, folder: Path) -> str:
    try:
        return workspace_files.read_text(file, folder) or ""
    except workspace_files.NotRead:
        return ""


def _parsed(text: str, name: str, budget: Budget) -> tuple[dict[str, str], bool]:
    """The properties that one file gives to `name`, a path relative to its folder, and whether it says to look no further."""
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
    """Whether a section's pattern means the file at `name`, a relative path; without a slash, files in every folder. Raises TooMuch."""
    if len(pattern) > LONGEST_PATTERN or len(name) > LONGEST_PATTERN * 4:
        return False
    if "/" not in pattern:
        name = name.rpartition("/")[2]
    return any(_matches(branch.lstrip("/"), name, budget) for branch in _branches(pattern, budget))


def _branches(pattern: str, budget: Budget) -> list[str]:
    """`{a,b}` and `{1..3}` written out, as far as that stays within bounds."""
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
    """Whether a pattern without braces means `name`; takes at most len(pattern) * len(name) steps, whatever both are."""
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
    """Where a star may end that begins at one of `starts`."""
    found: set[int] = set()
    for start in sorted(starts):
        if start not in found:  # else all that it reaches is known
            slash = -1 if across else name.find("/", start)
            found.update(range(start, (len(name) if slash < 0 else slash) + 1))
    return found


def _meaning(piece: str) -> Callable[[str], bool]:
    """Which characters a piece of a pattern stands for that is no star."""
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
