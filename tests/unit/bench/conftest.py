"""Tests of the bench have an empty home of their own: an engine or a peer of the user must not count."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def empty_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A short path: a socket's name must not be long."""
    with tempfile.TemporaryDirectory(prefix="inf-", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("INFILL_HOME", folder)
        yield
