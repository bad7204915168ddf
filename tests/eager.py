"""For tests that do not concern the gate: all suggestions of the small bundled model are shown, however improbable."""

from __future__ import annotations

from pathlib import Path

SETTINGS = '[completion]\neagerness = "high"\n'


def show_everything(home: Path) -> Path:
    """Write SETTINGS as the user's settings in an INFILL_HOME, unless it has settings; returns the home."""
    file = home / "config" / "settings.toml"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SETTINGS)
    return home
