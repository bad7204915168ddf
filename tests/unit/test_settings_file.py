"""The user's settings.toml: read, judged, and never a reason not to start."""

from __future__ import annotations

from pathlib import Path

import pytest

from infill import settings_file
from infill.settings import Settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    return settings_file.location()


def test_without_a_file_the_defaults_hold(file: Path) -> None:
    assert settings_file.load() == (Settings(), [])


def test_what_stands_in_the_file_holds(file: Path) -> None:
    file.write_text("enabled = false\n[completion]\nmaxTokens = 32\n[engine]\nidleMinutes = 1.5\n", "utf-8")
    settings, problems = settings_file.load()
    assert (settings.enabled, settings.completion.max_tokens, settings.engine.idle_minutes) == (False, 32, 1.5)
    assert problems == []


def test_a_wrong_value_is_named_and_the_rest_holds(file: Path) -> None:
    file.write_text("[completion]\nmaxTokens = 0\ndebounceMs = 7\nspeed = 9\n", "utf-8")
    settings, problems = settings_file.load()
    assert settings.completion.debounce_ms == 7
    assert settings.completion.max_tokens == Settings().completion.max_tokens
    assert len(problems) == 2
    assert "infill.completion.maxTokens" in problems[0]


@pytest.mark.parametrize("content", [b"= nonsense", b"\xff\xfe\x00", b"enabled = "])
def test_a_file_that_is_not_toml_is_one_sentence(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    settings, problems = settings_file.load()
    assert settings == Settings()
    assert len(problems) == 1
    assert str(file) in problems[0]


def test_a_file_that_cannot_be_read_is_one_sentence(file: Path) -> None:
    file.mkdir()
    settings, problems = settings_file.load()
    assert settings == Settings()
    assert len(problems) == 1
    assert "cannot be read" in problems[0]
