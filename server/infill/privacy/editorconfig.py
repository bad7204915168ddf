"""What `.editorconfig` says of a file's indentation (https://spec.editorconfig.org): the nearest file counts most, `root = true` ends the search.

Its content is untrusted: only regular files inside the workspace's folder are read, bounded in size, and matching a pattern takes bounded time.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from infill.privacy import workspace_files

NAME = ".editorconfig"
MOST_SECTIONS = 500
LONGEST_PATTERN = 1024
"""Characters of a section's name: what the specification asks for."""
MOST_BRANCHES = 200
"""Patterns that the braces of one section's name stand for."""
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
    for place in path.parents:
        try:
            text = workspace_files.read_text(place / NAME, folder)
        except workspace_files.NotRead:
            text = None
        said, is_root = _parsed(text or "", path.relative_to(place).as_posix())
        found = said | found
        if is_root or place == folder:
            break
    return {name: value for name, value in found.items() if value != "unset"}


def columns(said: str | None) -> int:
    """A property's number of columns; 0 where it says none."""
    return int(said) if said and said.isascii() and said.isdigit() and len(said) <= 2 and 0 < int(said) <= WIDEST else 0


def _parsed(text: str, name: str) -> tuple[dict[str, str], bool]:
    """The properties that one file gives to `name`, a path relative to its folder, and whether it says to look no further."""
    found: dict[str, str] = {}
    applies, is_root, sections = False, False, 0
    for line in map(str.strip, text.split("\n")):
        if not line or line[0] in "#;":
            continue
        if section := _SECTION.match(line) if line[0] == "[" else None:
            sections += 1
            applies = sections <= MOST_SECTIONS and matches(section[1], name)
            continue
        key, _, value = (part.strip().lower() for part in line.partition("="))
        value = re.split(r"\s[#;]", value, maxsplit=1)[0].strip()
        if applies and key in WANTED:
            found[key] = value
        is_root = is_root or (not sections and (key, value) == ("root", "true"))
    return found, is_root


def matches(pattern: str, name: str) -> bool:
    """Whether a section's pattern means the file at `name`, a relative path. A pattern without a slash means files in every folder."""
    if len(pattern) > LONGEST_PATTERN or len(name) > LONGEST_PATTERN * 4:
        return False
    if "/" not in pattern:
        name = name.rpartition("/")[2]
    return any(_matches(branch.lstrip("/"), name) for branch in _branches(pattern))


def _branches(pattern: str) -> list[str]:
    """`{a,b}` and `{1..3}` written out, as far as that stays within bounds."""
    waiting, done = [pattern], list[str]()
    while waiting and len(waiting) + len(done) <= MOST_BRANCHES:
        one = waiting.pop()
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


def _matches(pattern: str, name: str) -> bool:
    """Whether a pattern without braces means `name`; takes at most len(pattern) * len(name) steps, whatever both are."""
    ends = {0}
    for piece in _PIECE.findall(pattern):
        if piece in {"*", "**"}:
            ends = {end for start in ends for end in _run(name, start, across=piece == "**")}
        else:
            ends = {start + 1 for start in ends if start < len(name) and _means(piece, name[start])}
        if not ends:
            return False
    return len(name) in ends


def _run(name: str, start: int, *, across: bool) -> range:
    """Where a star that begins at `start` may end."""
    slash = -1 if across else name.find("/", start)
    return range(start, (len(name) if slash < 0 else slash) + 1)


@functools.lru_cache(256)
def _means(piece: str, character: str) -> bool:
    if piece == "?":
        return character != "/"
    if len(piece) > 2 and piece[0] == "[":
        inverse = piece[1] == "!"
        return (character in _members(piece[2 if inverse else 1 : -1])) is not inverse
    return character == piece[-1]


def _members(inside: str) -> set[str]:
    """The characters of `a-z0-9_`."""
    members = set(inside)
    for first, last in re.findall(r"([\w])-([\w])", inside):
        members |= {chr(code) for code in range(ord(first), min(ord(last), ord(first) + 128) + 1)}
    return members
