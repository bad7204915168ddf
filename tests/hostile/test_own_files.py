"""Statistics, state and the command line under odd events, two windows that write at once, odd files, and hostile file names."""

from __future__ import annotations

import io
import os
import re
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infill import state
from infill.cli import cursor, output
from infill.errors import RequestError
from infill.stats import Event, Statistics


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path))
    return tmp_path


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(), st.text(st.characters(exclude_categories=[])), st.floats())
def test_no_event_loses_the_others(tmp_path: Path, number: int, text: str, duration: float) -> None:
    file = tmp_path / "statistics.sqlite3"
    file.unlink(missing_ok=True)
    statistics = Statistics(file)
    statistics.add(Event(kind="accepted", model="m", characters=3))
    statistics.add(
        Event(kind="answered", provider=text, model=text, language=text, characters=number, tokens=number, ms=duration, generate_ms=duration)
    )
    statistics.add(Event(kind="accepted", model=text, characters=number, tokens=number))
    statistics.add(Event(kind="accepted", model="m", characters=4))
    assert statistics.summary().accepted == 3
    assert statistics.waiting == 0


def test_an_event_that_sqlite_refuses_is_dropped_and_the_rest_is_kept(tmp_path: Path) -> None:
    statistics = Statistics(tmp_path / "statistics.sqlite3")
    statistics._waiting.append((0.0, "shown", "", "", 10**30, "", 0.0, 0, 0, 0.0))
    statistics._waiting.append((0.0, "shown", object(), "", "", "", 0.0, 0, 0, 0.0))
    statistics.add(Event(kind="accepted", characters=3))
    statistics.flush()
    assert statistics.waiting == 0
    assert statistics.summary().accepted == 1


@pytest.mark.slow
def test_a_million_events_are_summed_up_in_seconds(tmp_path: Path) -> None:
    file = tmp_path / "statistics.sqlite3"
    Statistics(file).flush()
    now = time.time()
    with sqlite3.connect(file) as database:
        rows = ((now - n / 10, "answered", "local", f"m{n % 3}", "python", "model", n % 500, 10, 5, 20.0) for n in range(1_000_000))
        database.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    database.close()
    began = time.thread_time()
    summary = Statistics(file).summary()
    assert time.thread_time() - began < 10, "11 s before there was an index, about 1 s since"
    assert len(summary.by_model) == 3
    with sqlite3.connect(file) as database:
        (plan,) = [row[3] for row in database.execute("EXPLAIN QUERY PLAN DELETE FROM events WHERE at < 1")]
        assert "events_at" in plan
    database.close()


def test_two_windows_that_choose_at_once_lose_no_choice(home: Path) -> None:
    def choose(number: int) -> None:
        with state.changing() as known:
            known.workspaces[f"/project/{number}"] = {"complete": "local:a"}

    threads = [threading.Thread(target=choose, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(state.load().workspaces) == 12


def test_a_change_that_fails_writes_nothing(home: Path) -> None:
    def fail() -> None:
        with state.changing() as known:
            known.asked_first_run = True
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not state.load().asked_first_run


def test_an_unchanged_state_is_not_written(home: Path) -> None:
    with state.changing():
        pass
    assert not list(home.rglob("state.json"))


ODD_FILES = {
    "fifo": "not a regular file",
    "device": "not a regular file",
    "sparse": "larger than",
    "absent": "No such file",
    "folder": "not a regular file",
}


@pytest.mark.skipif(sys.platform == "win32", reason="no such files on Windows")
@pytest.mark.parametrize(("kind", "reason"), ODD_FILES.items())
def test_completing_in_what_is_no_ordinary_file_ends_in_a_sentence(tmp_path: Path, kind: str, reason: str) -> None:
    file = tmp_path / f"{kind}.py"
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "folder":
        file.mkdir()
    elif kind == "sparse":
        with file.open("wb") as stream:
            stream.truncate(2 << 30)
    with pytest.raises(RequestError, match=reason):
        cursor.read(cursor.Place(file, 1, 1))


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _show(writer: Callable[[str], object], text: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        shown = Terminal()
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stdout", shown)
        patch.setattr(sys, "stderr", shown)
        writer(text)
        writer("")
    return shown.getvalue()


WRITERS: dict[str, Callable[[str], object]] = {
    "say": output.say,
    "text": output.text,
    "json": output.json,
    "note": output.note,
    "problem": output.problem,
    "table": lambda text: output.table(["name"], [[text]], title=text),
    "facts": lambda text: output.facts([(text, text)]),
    "suggestion": lambda text: output.suggestion(text, text, text),
}
ACTING = [
    *range(9),
    *range(0x0B, 0x20),
    *range(0x7F, 0xA0),
    0x061C,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    0xE0001,
    0xE0041,
    0xE007F,
]


@pytest.mark.parametrize("writer", WRITERS)
def test_no_output_hands_a_terminal_what_acts_on_it(writer: str) -> None:
    ordinary = set(_show(WRITERS[writer], "a"))
    for code in ACTING:
        shown = _show(WRITERS[writer], f"ev{chr(code)}]0;OWNED")
        style = re.sub(r"\x1b\[[0-9;]*m", "", shown)  # the colours that the program chooses itself
        assert chr(code) not in style or chr(code) in ordinary - {"\x1b"}, f"U+{code:04X}"
