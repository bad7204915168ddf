"""Repacks installed packages as wheels, so that pip installs the product elsewhere, offline and without compiling llama.cpp again."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

NOT_PACKED = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}


def needed(wanted: Requirement, seen: set[str] | None = None) -> Iterator[Distribution]:
    """A distribution and all its installed requirements, with the requested extras, each once."""
    seen = set() if seen is None else seen
    found = distribution(wanted.name)
    for extra in ("", *sorted(wanted.extras)):
        key = f"{re.sub(r'[-_.]+', '-', wanted.name).lower()}[{extra}]"
        if key in seen:
            continue
        seen.add(key)
        if not extra:
            yield found
        for requirement in map(Requirement, found.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                yield from needed(requirement, seen)


def pack(found: Distribution, folder: Path) -> Path:
    """Write its wheel. Programs in `bin` are left out, because pip creates them from the entry points."""
    tags = re.findall(r"^Tag: (\S+)", found.read_text("WHEEL") or "", re.MULTILINE)
    name = re.sub(r"[-_.]+", "_", found.metadata["Name"])
    wheel = folder / f"{name}-{found.version}-{tags[-1]}.whl"
    files = [file for file in found.files or [] if ".." not in file.parts and "__pycache__" not in file.parts and file.name not in NOT_PACKED]
    (metadata,) = {file.parts[0] for file in files if file.name == "WHEEL"}
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in files:
            archive.write(str(file.locate()), str(file))
        archive.writestr(f"{metadata}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{metadata}/RECORD"]))
    return wheel


def pack_all(requirements: list[str], folder: Path) -> None:
    """Pack the required distributions and all their requirements as wheels."""
    seen: set[str] = set()
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate():
            for found in needed(requirement, seen):
                pack(found, folder)
