"""The results of `infill models check`, stored in state/checks by the model file's identity. A damaged result counts as absent.

Runs no check: `models.checking` starts it, `engine.check` is its process.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from infill import paths, state
from infill.models import gguf

FORMAT = 2
"""Version of results: raised when the check changes, so that older results count as absent."""
ORDERS = {"spm": "suffix first", "psm": "prefix first", "": "continues only"}

Count = Annotated[int, msgspec.Meta(ge=0)]


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check."""

    holes: Count
    """Number of holes to fill."""
    filled: Count
    """Holes whose first line was right."""
    order: Literal["", "psm", "spm"] = ""
    """The prompt order that fills in best; empty: the model does not fill in the middle."""
    ended: Count = 0
    """Answers that ended with an end token."""
    instructions: Count = 0
    followed: Count = 0
    tokens_per_second: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Speed of decoding in this check; 0: other programs used the cores during it."""
    memory: Count = 0
    """Resident bytes of the process with the model loaded and used."""
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Calibration temperature: divides the log-probability of a line; 1: too few lines to fit it."""
    places: Count = 0
    """Number of lines that the temperature was fitted to."""
    restricted: str = ""
    """llama.cpp features that are switched off because they fail on this machine, as a sentence."""
    problems: tuple[str, ...] = ()
    """Why the model should not be chosen, each as a sentence."""
    when: float = 0.0
    """Seconds since 1970."""

    @property
    def sentence(self) -> str:
        """For example: `11 of 12, suffix first, 34 tokens/s`."""
        parts = [f"{self.filled} of {self.holes}", ORDERS[self.order]] if self.holes else []
        if self.instructions:
            parts.append(f"{self.followed} of {self.instructions} instructions")
        if self.tokens_per_second:
            parts.append(f"{self.tokens_per_second:.0f} tokens/s")
        return ", ".join(parts)


def result(path: Path) -> Checked | None:
    """The result for this version of a file (the bundled model's is shipped with it); None if it was not checked since its last change."""
    found = state.read(_file(path), Checked)
    return found or (state.read(paths.bundled_check(), Checked) if path == paths.bundled_model() else None)


def keep(path: Path, found: Checked) -> None:
    """Store a result. Raises InfillError where it cannot be written."""
    state.keep(_file(path), msgspec.json.format(msgspec.json.encode(found)))


def forget(path: Path) -> None:
    """Remove a result, if there is one. Raises OSError."""
    _file(path).unlink(missing_ok=True)


def stop_file(path: Path) -> Path:
    """While this file exists, a running check of that model stops without a result."""
    return _file(path).with_suffix(".stop")


def _file(path: Path) -> Path:
    """The result's path, by name, size and modification time of all parts: a moved or replaced file has another result."""
    identity = [_of(part) for part in gguf.parts_of(path)]
    digest = hashlib.sha256(repr((FORMAT, identity)).encode()).hexdigest()[:24]
    return paths.state_directory() / "checks" / f"{digest}.json"


def _of(part: Path) -> tuple[bytes, int, int]:
    try:
        status = part.stat()
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return os.fsencode(part), 0, 0
    return os.fsencode(part.absolute()), status.st_size, status.st_mtime_ns
