"""The paths of all directories on this operating system. Only `private_directory` creates one; nothing is read.

`INFILL_HOME` puts every directory below one folder: for tests, portable installs and inspection.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
import warnings
from importlib import resources
from pathlib import Path

import platformdirs

from infill.errors import InfillError

APP = "infill"


def _directory(kind: str) -> Path:
    if home := os.environ.get("INFILL_HOME"):
        return Path(home).expanduser() / kind
    with warnings.catch_warnings():
        # sessions without XDG_RUNTIME_DIR are common (containers, cron): platformdirs then uses a folder in /tmp, which private_directory checks
        warnings.simplefilter("ignore")
        return Path(getattr(platformdirs, f"user_{kind}_dir")(APP, appauthor=False))


def config_directory() -> Path:
    """The user's own `settings.toml` and `models.toml`."""
    return _directory("config")


def data_directory() -> Path:
    """Downloaded models and builds for this machine."""
    return _directory("data")


def state_directory() -> Path:
    """Data kept between sessions: the chosen model, measured plans, saved slots, statistics."""
    return _directory("state")


def cache_directory() -> Path:
    """Data that can be computed again."""
    return _directory("cache")


def log_directory() -> Path:
    """Log files. User code is never written there."""
    return _directory("log")


def runtime_directory() -> Path:
    """The engine's socket and status file: the first usable one of these directories, or the last one if none is.

    The system's runtime directory (below `INFILL_HOME` where that is set), `infill-UID` in the temporary directory, `runtime` in the state directory.
    If a path is too long for a socket, a path in the temporary directory is used instead. Creates no directory and never raises.
    """
    if os.environ.get("INFILL_HOME"):
        return _short(_directory("runtime"))
    candidates: list[Path] = []
    with contextlib.suppress(OSError):  # platformdirs refuses a directory of another user
        candidates.append(_directory("runtime"))
    with contextlib.suppress(OSError):  # there is no temporary directory
        candidates.append(Path(tempfile.gettempdir()) / f"{APP}-{_user()}")
    candidates.append(state_directory() / "runtime")
    return _short(next(filter(_is_usable, candidates), candidates[-1]))


def _user() -> int | str:
    return os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")


def _short(wanted: Path) -> Path:
    # sun_path holds 104 bytes on macOS and 108 on Linux, and the socket's name needs about 40 of them
    if sys.platform == "win32" or len(os.fsencode(wanted)) < 64:
        return wanted
    digest = f"{abs(hash_of(str(wanted))):x}"[:12]
    with contextlib.suppress(OSError):
        return Path(tempfile.gettempdir()) / f"{APP}-{_user()}-{digest}"
    return wanted


def _is_usable(path: Path) -> bool:
    """Whether `private_directory` would accept it, and its parent belongs to this user or root, so that no other user can replace it."""
    if sys.platform == "win32":
        return True
    trusted = {0, os.getuid()}
    try:
        if os.path.lexists(path):
            own = {path.stat().st_uid, path.lstat().st_uid} == {os.getuid()}
            return own and path.is_dir() and path.parent.stat().st_uid in trusted
        existing = next(parent for parent in path.parents if os.path.lexists(parent))
        return existing.is_dir() and existing.stat().st_uid in trusted and os.access(existing, os.W_OK | os.X_OK)
    except OSError:
        return False


def hash_of(text: str) -> int:
    """A hash that is the same in every process (Python's own hash is not)."""
    import zlib

    return zlib.crc32(text.encode())


def bundled_model() -> Path:
    """The small model that is shipped with infill."""
    return Path(str(resources.files("infill") / "data" / "infill-tiny.gguf"))


def bundled_check() -> Path:
    """The result of its check, a `models.checked.Checked` as JSON; its `sha256` is that of the model file."""
    return bundled_model().with_suffix(".check.json")


def sample_sources() -> Path:
    """Source files in several languages, used to calibrate a model."""
    return Path(str(resources.files("infill") / "data" / "sources"))


def catalogue() -> Path:
    """The shipped catalogue: inside a wheel, or at the root of the checkout of an editable install."""
    packaged = Path(str(resources.files("infill") / "data" / "models.toml"))
    return packaged if packaged.exists() else Path(__file__).parents[2] / "models.toml"


def private_directory(path: Path) -> Path:
    """Create `path` with access only for its owner (0700) and return it.

    Raises InfillError if it belongs to another user or cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        status, itself = path.stat(), path.lstat()
    except OSError as exc:
        hint = "Set INFILL_HOME to a directory that you can write to."
        raise InfillError(f"The directory {path} cannot be created: {exc.strerror}.", hint) from exc
    # also check a link itself: in the temporary directory anyone can create one that leads elsewhere
    if hasattr(os, "getuid") and {status.st_uid, itself.st_uid} != {os.getuid()}:
        raise InfillError(f"The directory {path} belongs to another user.", "Remove it, or set INFILL_HOME to a directory of your own.")
    if hasattr(os, "getuid") and stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(0o700)
    return path
