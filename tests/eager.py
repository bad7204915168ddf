"""For tests of anything but the gate: every suggestion of the small bundled model is shown, however improbable."""

from __future__ import annotations

from pathlib import Path

SETTINGS = '[completion]\neagerness = "high"\n'


def show_everything(home: Path) -> Path:
    """Write that into the user's settings below an INFILL_HOME, unless a test has written some; returns the home."""
    file = home / "config" / "settings.toml"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SETTINGS)
    return home
