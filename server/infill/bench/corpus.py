"""Source files for benchmarks, from folders, installed packages, or packages of fixed versions. Only reads text files.

The same folders and seed give the same files, so that runs are repeatable.
"""

from __future__ import annotations

import os
import random
import subprocess
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from infill.bench.syntax import Syntax, Unreadable, read
from infill.generation.languages import BY_ENDING

LANGUAGES = (
    *("python", "javascript", "typescript", "typescriptreact", "go", "rust", "java", "kotlin", "c", "cpp"),
    *("csharp", "php", "ruby", "lua", "css", "scss", "shellscript", "html"),
)
"""Languages that Pygments lexes reliably enough for evaluation."""
FILES = 60
"""Files of each language."""
SMALLEST, LARGEST, LONGEST_LINE = 500, 60_000, 200
"""Limits for the bytes of a file and the characters of a line. Files outside them are data or generated."""
LISTED = 20_000
"""Maximum number of files examined in one folder."""
SKIPPED = frozenset({".git", "__pycache__", "node_modules_cache", "dist", "build", "testdata", "vendor-min"})

Corpus = dict[str, list[tuple[str, Syntax]]]


def corpus(folders: Sequence[Path], seed: int, say: Callable[[str], None] = lambda _: None, languages: Sequence[str] = LANGUAGES) -> Corpus:
    """Up to FILES files of each language: name below its folder, text and syntax."""
    found: dict[str, list[tuple[Path, Path]]] = {}
    for folder in folders:
        for path in _files(folder):
            if (language := BY_ENDING.get(path.suffix.lower(), "")) in languages:
                found.setdefault(language, []).append((folder, path))
    read_in = {language: _read(language, found[language], seed) for language in languages if language in found}
    for language, files in read_in.items():
        say(f"{language}: {len(files)} files of {len(found[language])}")
    return {language: files for language, files in read_in.items() if files}


def installed() -> list[Path]:
    """Folders of installed packages: Python, and Go, Node.js and Cargo if they are installed."""
    folders = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")]
    folders += [Path(root) / below for command, below in _ROOTS if (root := _output(command))]
    folders.append(Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry" / "src")
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


_ROOTS = ((("go", "env", "GOROOT"), "src"), (("npm", "root", "--global"), "."))


def _output(command: Sequence[str]) -> str:
    """A program's output; empty if it is not installed."""
    import shutil

    program = shutil.which(command[0])
    if not program:
        return ""
    try:
        return subprocess.run([program, *command[1:]], capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder in a fixed order."""
    count = 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(names):
            count += 1
            if count > LISTED:
                return
            yield Path(root, name)


def _read(language: str, paths: Sequence[tuple[Path, Path]], seed: int) -> list[tuple[str, Syntax]]:
    order = list(paths)
    random.Random(f"{seed} {language}").shuffle(order)
    files: list[tuple[str, Syntax]] = []
    for folder, path in order[: 10 * FILES]:
        if len(files) == FILES:
            break
        text = _text(path)
        if not text:
            continue
        try:
            files.append((path.relative_to(folder).as_posix(), read(text, language)))
        except Unreadable:
            continue
    return files


def _text(path: Path) -> str:
    """A file's text with LF and without trailing white space; empty if it is not usable."""
    try:
        if not SMALLEST <= path.stat().st_size <= LARGEST:
            return ""
        text = path.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        return ""
    lines = [line.rstrip() for line in text.split("\n")]
    usable = text.isprintable() or not any(ord(character) < 32 and character not in "\t\n" for character in text)
    return "\n".join(lines) if usable and max(map(len, lines)) <= LONGEST_LINE else ""
