"""Cursor positions on the command line: `FILE:LINE:COLUMN`, counted from 1 as in editors."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import typer

from infill.errors import RequestError
from infill.generation.languages import BY_ENDING
from infill.privacy import workspace_files

LARGEST_FILE = 64 * 1024 * 1024
"""Maximum size in bytes of a file that is completed from the command line."""


def language_of(path: Path) -> str:
    """The language id that an editor would use."""
    ending = path.suffix.lower()
    return BY_ENDING.get(ending, ending.lstrip("."))


class Place(msgspec.Struct, frozen=True):
    """A 1-based cursor in a file on disk. A column counts characters; positions outside the text are clamped."""

    file: Path
    line: int
    column: int


class Source(msgspec.Struct, frozen=True):
    """A file's text before and after the cursor, with LF line ends."""

    path: Path
    """Absolute."""
    shown: str
    """The path in the prompt: relative to the current directory if below it, else only the name."""
    language: str
    prefix: str
    suffix: str


def parse(place: str) -> Place:
    """The position. Raises typer.BadParameter for anything but FILE:LINE:COLUMN."""
    found = re.fullmatch(r"(.+):(\d+):(\d+)", place, re.DOTALL)
    if not found:
        raise typer.BadParameter(f"{place!r} is not FILE:LINE:COLUMN.", param_hint="FILE:LINE:COLUMN")
    return Place(Path(found[1]), max(1, int(found[2])), max(1, int(found[3])))


def read(place: Place) -> Source:
    """The file's text before and after the cursor. Raises RequestError if it cannot be read."""
    try:
        content = workspace_files.read(place.file, None, LARGEST_FILE)
    except workspace_files.NotRead as exc:
        raise RequestError(f"{place.file} cannot be read: {exc}.", "Name a file as FILE:LINE:COLUMN.") from exc
    if content is None:
        raise RequestError(f"{place.file} cannot be read: No such file or directory.", "Name a file as FILE:LINE:COLUMN.")
    lines = content.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    row = min(place.line, len(lines)) - 1
    column = min(place.column - 1, len(lines[row])) if place.line <= len(lines) else len(lines[row])
    path = place.file.absolute()
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(path.name)
    return Source(
        path,
        shown.as_posix(),
        language_of(path),
        "\n".join([*lines[:row], lines[row][:column]]),
        "\n".join([lines[row][column:], *lines[row + 1 :]]),
    )
