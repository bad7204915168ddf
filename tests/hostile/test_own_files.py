"""Statistics, state and the command line under odd events, two windows that write at once, odd files, and hostile file names."""

from __future__ import annotations

import contextlib
import functools
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


class Counting(sqlite3.Connection):
    """Counts what SQLite does, in hundreds of instructions of its virtual machine."""

    steps = 0

    def __init__(self, *words: object, **options: object) -> None:
        super().__init__(*words, **options)  # type: ignore[arg-type]
        self.set_progress_handler(self._step, 100)

    def _step(self) -> int:
        Counting.steps += 1
        return 0


def statistics_of(file: Path, number: int) -> Statistics:
    Statistics(file).flush()
    now = time.time()
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        rows = ((now - n / 10, "answered", "local", f"m{n % 3}", "python", "model", n % 500, 10, 5, 20.0) for n in range(number))
        database.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return Statistics(file)


def steps_of(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> int:
    Counting.steps = 0
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Counting))
        work()
    return Counting.steps


def test_writing_an_event_costs_the_same_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = statistics_of(tmp_path / "few", 100), statistics_of(tmp_path / "many", 20_000)
    for statistics in (few, many):
        statistics.add(Event(kind="shown", model="m"))
    assert steps_of(many.flush, monkeypatch) <= steps_of(few.flush, monkeypatch) + 1


def test_the_work_of_a_summary_grows_with_the_number_of_events_and_no_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the newest answers alone the times are sorted: there the work stops growing so fast."""
    some, more, most = (steps_of(statistics_of(tmp_path / f"{n}", n).summary, monkeypatch) for n in (25_000, 50_000, 200_000))
    assert more < 2.5 * some
    assert most - more < 4 * more
    with contextlib.closing(sqlite3.connect(tmp_path / "25000")) as database:
        (plan,) = [row[3] for row in database.execute("EXPLAIN QUERY PLAN DELETE FROM events WHERE at < 1")]
    assert "events_at" in plan


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
