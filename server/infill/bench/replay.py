"""Replays a git history as edits: the hunks of a commit one by one, with a request after each. A hit equals a later hunk of the file.

A commit does not contain the order in which its edits were typed; hunks are applied from top to bottom.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

import msgspec

from infill.bench.next_edits import Player, distance
from infill.edits.suggest import Eagerness
from infill.edits.types import Suggestion
from infill.errors import InfillError

GIT_SECONDS = 120
LARGEST_FILE = 400_000
"""Maximum number of characters of a replayed file."""
MOST_HUNKS = 40
"""Maximum number of hunks of a file in one commit; larger changes are usually automated."""
LANGUAGES = {
    ".py": "python", ".pyi": "python", ".ts": "typescript", ".tsx": "typescriptreact", ".js": "javascript", ".mjs": "javascript", ".go": "go",
    ".rs": "rust", ".c": "c", ".h": "c", ".cpp": "cpp", ".cc": "cpp", ".hpp": "cpp", ".java": "java", ".lua": "lua", ".md": "markdown",
    ".rb": "ruby", ".kt": "kotlin", ".cs": "csharp", ".php": "php", ".toml": "toml", ".yml": "yaml", ".yaml": "yaml", ".json": "json",
}  # fmt: skip

Half = Literal["all", "even", "odd"]
HALVES: tuple[Half, ...] = get_args(Half)
"""Commits counted from the newest: all, or every second one. The rules are tuned on one half, and evaluated on the other."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A suggestion in a replayed commit."""

    commit: str
    file: str
    source: str
    hit: bool
    """The commit has exactly these lines at this place."""
    nearer: bool
    """The suggestion brought the text nearer to the commit's."""
    reason: str
    old: tuple[str, ...]
    new: tuple[str, ...]


class Replayed(msgspec.Struct, kw_only=True):
    """The result for one repository."""

    commits: int = 0
    files: int = 0
    edits: int = 0
    """Number of hunks after which a suggestion was requested."""
    milliseconds: list[float] = []
    cases: list[Case] = []

    @property
    def shown(self) -> int:
        return len(self.cases)

    @property
    def hits(self) -> int:
        return sum(case.hit for case in self.cases)


def replay(repository: Path, commits: int, eagerness: Eagerness = "medium", half: Half = "all") -> Replayed:
    """Replay the newest commits that modify files and are not merges, or every second one. Raises InfillError without a repository."""
    found = Replayed()
    for commit, path, before, after in _files(repository, commits, half, found):
        _file(found, commit[:10], path, before.split("\n"), after.split("\n"), eagerness)
    return found


def git(repository: Path, *arguments: str, said: str = "") -> bytes:
    """The output of git for the input `said`. Raises InfillError."""
    try:
        done = subprocess.run(["git", "-C", str(repository), *arguments], input=said.encode(), capture_output=True, check=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.SubprocessError) as exc:
        raise InfillError(f"git could not read {repository}.", "Name a folder that is a git repository.") from exc
    return done.stdout


def _files(repository: Path, commits: int, half: Half, found: Replayed) -> Iterator[tuple[str, str, str, str]]:
    """The text files that commits changed: commit, path, text before and after."""
    log = git(repository, "log", "--no-merges", f"-{commits}", "--format=%x01%H", "--raw", "-r", "--no-abbrev", "--no-renames", "--diff-filter=M")
    parts = log.decode(errors="replace").split("\x01")[1:]
    for part in parts[int(half == "odd") :: 1 if half == "all" else 2]:
        commit, *rows = part.splitlines()
        found.commits += 1
        changed = [(path, *meta.split()[2:4]) for meta, _, path in (row.partition("\t") for row in rows if row.startswith(":"))]
        changed = [one for one in changed if PurePosixPath(one[0]).suffix in LANGUAGES]
        texts = _texts(repository, [blob for _, *blobs in changed for blob in blobs])
        for path, old, new in changed:
            before, after = texts.get(old, ""), texts.get(new, "")
            if len(before) + len(after) <= LARGEST_FILE:
                found.files += 1
                yield commit, path, before, after


def _texts(repository: Path, blobs: Sequence[str]) -> dict[str, str]:
    """The texts of git objects, read with one git process."""
    if not blobs:
        return {}
    output, position = git(repository, "cat-file", "--batch", said="".join(f"{blob}\n" for blob in blobs)), 0
    texts = {}
    for blob in blobs:
        end = output.index(b"\n", position)
        header, position = output[position:end].split(), end + 1
        if header[-1] != b"missing":
            size = int(header[-1])
            texts[blob] = output[position : position + size].decode(errors="replace").replace("\r\n", "\n")
            position += size + 1
    return texts


def hunks(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int, list[str]]]:
    """The changes from `before` to `after`: replaced lines from `first` up to `end` of `before`, and the new lines."""
    opcodes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return [(a, b, list(after[c:d])) for tag, a, b, c, d in opcodes if tag != "equal"]


def _file(found: Replayed, commit: str, path: str, before: list[str], after: list[str], eagerness: Eagerness) -> None:
    todo = hunks(before, after)
    if not 1 < len(todo) <= MOST_HUNKS:
        return
    player = Player(before, LANGUAGES[PurePosixPath(path).suffix], eagerness)
    shift, seen = 0, set()
    for first, end, new in todo:
        player.replace(first + shift, end + shift, new)
        shift += len(new) - (end - first)
        found.edits += 1
        suggestion = player.suggestion()
        if suggestion is None or suggestion.change is None:
            continue
        change = suggestion.change
        old = tuple(player.lines[change.first : change.end])
        key = (old, change.new, change.first - shift)
        if key not in seen:
            seen.add(key)
            applied = [*player.lines[: change.first], *change.new, *player.lines[change.end :]]
            nearer = distance(applied, after) < distance(player.lines, after)
            found.cases.append(_case(commit, path, suggestion, old, right=hit(player.lines, after, suggestion), nearer=nearer))
    found.milliseconds += player.milliseconds


def hit(lines: Sequence[str], after: Sequence[str], suggestion: Suggestion) -> bool:
    """Whether the commit has the suggested lines at this place."""
    change = suggestion.change
    if change is None:
        return False
    applied = [*lines[: change.first], *change.new, *lines[change.end :]]
    first, end = change.first, change.first + len(change.new)
    blocks = SequenceMatcher(None, applied, after, autojunk=False).get_matching_blocks()
    if change.new:
        return any(block.a <= first and end <= block.a + block.size for block in blocks)
    return any(block.a < first < block.a + block.size for block in blocks)


def _case(commit: str, path: str, suggestion: Suggestion, old: tuple[str, ...], *, right: bool, nearer: bool) -> Case:
    new = suggestion.change.new if suggestion.change else ()
    return Case(commit=commit, file=path, source=suggestion.source, hit=right, nearer=nearer, reason=suggestion.reason, old=old, new=new)
