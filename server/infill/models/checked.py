"""What `infill models check` found about a model file, kept in state/checks by the file's identity. A damaged result counts as absent.

Nothing runs here: `models.checking` starts the check, `engine.check` is the process that does it.
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
"""Of a result: raised when what is checked changes, so that older results count as absent."""
ORDERS = {"spm": "suffix first", "psm": "prefix first", "": "continues only"}

Count = Annotated[int, msgspec.Meta(ge=0)]


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check."""

    holes: Count
    """Small holes that were to be filled in."""
    filled: Count
    """Holes whose first line was right."""
    order: Literal["", "psm", "spm"] = ""
    """The order of the prompt in which the model fills in best; empty: it does not fill in."""
    ended: Count = 0
    """Answers that ended by themselves."""
    instructions: Count = 0
    followed: Count = 0
    tokens_per_second: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Generated, in this check; 0: other programs used the cores meanwhile."""
    memory: Count = 0
    """Resident bytes of the process with the model loaded and used."""
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """What the log-probability of a line is divided by to be calibrated; 1: too few places to tell."""
    places: Count = 0
    """From which it was fitted."""
    restricted: str = ""
    """What of llama.cpp is switched off because it fails on this machine, as a sentence."""
    problems: tuple[str, ...] = ()
    """Why the model should not be chosen, each as a sentence."""
    when: float = 0.0
    """Seconds since 1970."""

    @property
    def sentence(self) -> str:
        """`11 of 12, suffix first, 34 tokens/s`."""
        parts = [f"{self.filled} of {self.holes}", ORDERS[self.order]] if self.holes else []
        if self.instructions:
            parts.append(f"{self.followed} of {self.instructions} instructions")
        if self.tokens_per_second:
            parts.append(f"{self.tokens_per_second:.0f} tokens/s")
        return ", ".join(parts)


def result(path: Path) -> Checked | None:
    """The result for this very file, for the bundled model the one that ships with it; None where it was never checked, or has changed since."""
    found = state.read(_file(path), Checked)
    return found or (state.read(paths.bundled_check(), Checked) if path == paths.bundled_model() else None)


def keep(path: Path, found: Checked) -> None:
    """Remember a result. Raises InfillError where it cannot be written."""
    state.keep(_file(path), msgspec.json.format(msgspec.json.encode(found)))


def forget(path: Path) -> None:
    """Remove a result, if there is one. Raises OSError."""
    _file(path).unlink(missing_ok=True)


def stop_file(path: Path) -> Path:
    """While this file exists, a running check of that model ends without a result."""
    return _file(path).with_suffix(".stop")


def _file(path: Path) -> Path:
    """Identity: name, size and time of change of all parts; a file that is moved or replaced is another one."""
    identity = [_of(part) for part in gguf.parts_of(path)]
    digest = hashlib.sha256(repr((FORMAT, identity)).encode()).hexdigest()[:24]
    return paths.state_directory() / "checks" / f"{digest}.json"


def _of(part: Path) -> tuple[bytes, int, int]:
    try:
        status = part.stat()
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return os.fsencode(part), 0, 0
    return os.fsencode(part.absolute()), status.st_size, status.st_mtime_ns
