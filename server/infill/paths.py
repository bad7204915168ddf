"""Where everything lies on this operating system. Nothing is created here but by `private_directory`, and nothing is read.

`INFILL_HOME` puts every directory below one folder: for tests, portable installs and people who want to look.
"""

from __future__ import annotations

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
        # a session without XDG_RUNTIME_DIR is ordinary (containers, cron): platformdirs then names a folder in /tmp, which private_directory guards
        warnings.simplefilter("ignore")
        return Path(getattr(platformdirs, f"user_{kind}_dir")(APP, appauthor=False))


def config_directory() -> Path:
    """The user's own `settings.toml` and `models.toml`."""
    return _directory("config")


def data_directory() -> Path:
    """Downloaded models and what was built for this machine."""
    return _directory("data")


def state_directory() -> Path:
    """What outlives a session: the chosen model, measured plans, saved slots, statistics."""
    return _directory("state")


def cache_directory() -> Path:
    """What can be made again."""
    return _directory("cache")


def log_directory() -> Path:
    """Log files. User code is never written there."""
    return _directory("log")


def runtime_directory() -> Path:
    """The engine's socket and status file; falls back to the temporary directory where the path would be too long for a socket."""
    wanted = _directory("runtime")
    # sun_path holds 104 bytes on macOS and 108 on Linux, and the socket's name needs about 40 of them
    if sys.platform == "win32" or len(os.fsencode(wanted)) < 64:
        return wanted
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    digest = f"{abs(hash_of(str(wanted))):x}"[:12]
    return Path(tempfile.gettempdir()) / f"{APP}-{user}-{digest}"


def hash_of(text: str) -> int:
    """A hash that is the same in every process (Python's own is seeded anew each time)."""
    import zlib

    return zlib.crc32(text.encode())


def bundled_model() -> Path:
    """The small model that ships with the program."""
    return Path(str(resources.files("infill") / "data" / "infill-tiny.gguf"))


def catalogue() -> Path:
    """The catalogue of models that ships with the program: inside a wheel, or at the root of the checkout that an editable install points to."""
    packaged = Path(str(resources.files("infill") / "data" / "models.toml"))
    return packaged if packaged.exists() else Path(__file__).parents[2] / "models.toml"


def private_directory(path: Path) -> Path:
    """Create `path` for its owner alone (0700) and return it.

    Raises InfillError where it belongs to somebody else or cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        status, itself = path.stat(), path.lstat()
    except OSError as exc:
        hint = "Set INFILL_HOME to a directory that you can write to."
        raise InfillError(f"The directory {path} cannot be created: {exc.strerror}.", hint) from exc
    # also the link, if it is one: in the temporary directory anybody may put one to where we would not want to write
    if hasattr(os, "getuid") and {status.st_uid, itself.st_uid} != {os.getuid()}:
        raise InfillError(f"The directory {path} belongs to another user.", "Remove it, or set INFILL_HOME to a directory of your own.")
    if hasattr(os, "getuid") and stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(0o700)
    return path
