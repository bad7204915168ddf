"""Log files hold what was done, never what was written."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infill import log
from infill.errors import ModelMissing


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))
    monkeypatch.delenv(log.VARIABLE, raising=False)
    logger = logging.getLogger("infill")
    before = logger.handlers[:], logger.level, logger.propagate, logging.raiseExceptions
    yield tmp_path
    for handler in [handler for handler in logger.handlers if handler not in before[0]]:
        logger.removeHandler(handler)
        handler.close()
    logger.level, logger.propagate, logging.raiseExceptions = before[1:]


def _written(file: Path | None) -> str:
    assert file is not None
    return file.read_text("utf-8") if file.exists() else ""


def test_what_is_logged_stands_in_a_file_of_this_process(home: Path) -> None:
    file = log.to_file("lsp")
    logging.getLogger("infill.completion").info("asked %s", "local")
    assert file == home / "log" / f"lsp-{os.getpid()}.log"
    assert _written(file).endswith("INFO infill.completion: asked local\n")


def test_a_record_is_one_line_of_bounded_length(home: Path) -> None:
    file = log.to_file("lsp")
    logging.getLogger("infill").warning("odd:\n%s", "secret = 1\n" * 500)
    assert _written(file).count("\n") == 1
    assert len(_written(file)) < log.LONGEST_RECORD + 10


def test_a_foreign_exception_is_told_without_its_words(home: Path) -> None:
    file = log.to_file("lsp")
    try:
        int("password = 'hunter2'")
    except ValueError:
        logging.getLogger("infill").exception("it failed")
    assert "hunter2" not in _written(file)
    assert "ValueError at test_log.py:" in _written(file)


def test_an_error_of_ours_keeps_its_sentence(home: Path) -> None:
    file = log.to_file("lsp")
    try:
        raise ModelMissing("The model's file has gone.")
    except ModelMissing:
        logging.getLogger("infill").exception("loading failed")
    assert "The model's file has gone." in _written(file)


def test_the_setting_says_how_much_and_the_environment_has_the_last_word(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.to_file("lsp", "error")
    assert not logging.getLogger("infill.x").isEnabledFor(logging.WARNING)
    monkeypatch.setenv(log.VARIABLE, "debug")
    log.set_level("error")
    assert logging.getLogger("infill.x").isEnabledFor(logging.DEBUG)
    monkeypatch.setenv(log.VARIABLE, "nonsense")
    log.set_level("warning")
    assert not logging.getLogger("infill.x").isEnabledFor(logging.INFO)


def test_without_a_place_to_write_nothing_is_logged_and_nothing_fails(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "log").write_text("a file stands here")
    assert log.to_file("lsp") is None
    logging.getLogger("infill").error("nobody hears this")
    assert capsys.readouterr().err == ""


def test_old_and_surplus_files_are_removed(home: Path) -> None:
    (home / "log").mkdir()
    old = home / "log" / "lsp-1.log"
    old.write_text("")
    os.utime(old, (time.time() - 30 * 86_400,) * 2)
    for number in range(log.KEPT_FILES + 5):
        (home / "log" / f"lsp-{number + 2}.log").write_text("")
    other = home / "log" / "notes.txt"
    other.write_text("not ours to remove")
    log.to_file("lsp")
    assert not old.exists()
    assert len(list((home / "log").glob("*.log"))) <= log.KEPT_FILES + 1
    assert other.exists()
