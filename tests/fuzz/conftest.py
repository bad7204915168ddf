"""Fuzzing uses the makers of files and of scripted engines that other tests have."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS / "models"), str(TESTS / "engine")]
