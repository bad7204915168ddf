from __future__ import annotations

from conftest_completion import completer, time
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # a busy machine is no bug
settings.load_profile("unhurried")

__all__ = ["completer", "time"]
