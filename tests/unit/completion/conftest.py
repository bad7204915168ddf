from __future__ import annotations

from conftest_completion import completer, time

__all__ = ["completer", "time"]
