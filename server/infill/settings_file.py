"""The user's own `settings.toml`: the settings of the command line, and the defaults below an editor's settings. Read, never written.

A file that cannot be read or parsed is reported as one problem; infill starts without it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from infill import environment, paths
from infill.settings import Settings, resolve

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def location() -> Path:
    return paths.config_directory() / "settings.toml"


def read() -> tuple[dict[str, Any], list[str]]:
    """The file's options, and problems with the file."""
    try:
        return tomllib.loads(location().read_text("utf-8")), []
    except FileNotFoundError:
        return {}, []
    except OSError as exc:
        return {}, [f"{location()} cannot be read: {exc.strerror}; the defaults are used."]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        return {}, [f"{location()} is not TOML: {exc}; the defaults are used."]


def load() -> tuple[Settings, list[str]]:
    """The user's settings, and a sentence for each problem."""
    options, problems = read()
    settings, more = resolve(options)
    environment.withhold(endpoint.key_variable for endpoint in settings.providers.remote.values())
    return settings, problems + more
