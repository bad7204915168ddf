"""The bench's own traces, and loading of custom ones."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from infill.bench.trace import Trace, load

__all__ = ["default", "load"]


def default() -> Trace:
    """Two and a half minutes of typing in an earlier version of a Python module of this project."""
    with resources.as_file(resources.files("infill.bench") / "store.trace.json") as file:
        return load(Path(file))
