"""Builds the server's wheel into `dist/server`, so that the extension's package brings its own server: `python scripts/server.py`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[1]
TARGET = HERE / "dist" / "server"


def main() -> int:
    shutil.rmtree(TARGET, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    return subprocess.run([*pip, "--wheel-dir", str(TARGET), str(HERE.parents[1])], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
