"""What every command has in common: how it is called, how it fails, what it prints where."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys

import pytest
from commands import LONGEST, Shell

from infill import __version__
from infill.cli import VERBS


def test_it_says_its_version(fresh: Shell) -> None:
    assert fresh.run("--version").out == f"infill {__version__}\n"
    assert not fresh.home.exists()


def test_help_names_every_verb(fresh: Shell) -> None:
    ran = fresh.run("--help")
    assert ran.code == 0
    assert all(f"\n  {verb} " in ran.out for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    assert importlib.import_module(f"infill.cli.{verb}").app.info is not None
    assert importlib.import_module(f"infill.cli.{verb}").__doc__


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["complete"],
        ["complete", "file.py"],
        ["complete", "file.py:1"],
        ["complete", "file.py:one:two"],
        ["complete", "file.py:1:1", "--n", "0"],
        ["complete", "file.py:1:1", "--n", "many"],
        ["engine", "dance"],
        ["doctor", "--yaml"],
        ["lsp", "--stdio", "--tcp", "127.0.0.1:0"],
        ["lsp", "--tcp", "nowhere"],
        ["lsp", "--tcp", "127.0.0.1:99999"],
        ["lsp", "--tcp", "0.0.0.0:0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_explained_and_ends_with_two(fresh: Shell, words: list[str]) -> None:
    ran = fresh.run(*words)
    assert ran.code == 2
    assert "Usage: infill" in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_offline_can_be_said_before_any_verb(fresh: Shell) -> None:
    code = "import os; from infill.cli import main\ntry: main(['--offline', 'engine', 'status'])\nfinally: print(os.environ['HF_HUB_OFFLINE'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=fresh.environment(), timeout=LONGEST)
    assert done.stdout.splitlines()[-1] == "1"


@pytest.mark.parametrize("place", ["nowhere.py:1:1", ".:1:1"])
def test_a_failure_is_one_sentence_and_ends_with_one(fresh: Shell, place: str) -> None:
    ran = fresh.run("complete", place)
    assert ran.code == 1
    assert ran.out == ""
    assert ran.err.startswith("infill: ")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err


def test_a_pipe_gets_neither_colours_nor_boxes(fresh: Shell) -> None:
    for words in (["--help"], ["models", "--help"], ["complete"], ["doctor"], ["engine", "status"]):
        ran = fresh.run(*words)
        assert not {"\x1b", "│", "╭", "━"} & set(ran.out + ran.err)


def test_a_terminal_gets_a_table_with_colours(fresh: Shell) -> None:
    shown = fresh.on_a_terminal("doctor")
    assert "\x1b[" in shown.out
    assert "next step" in shown.out


def test_who_stops_reading_gets_no_traceback(fresh: Shell) -> None:
    with fresh.start("doctor") as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(LONGEST) == 1


def test_control_c_ends_it_quietly(fresh: Shell) -> None:
    with fresh.start("lsp", "--tcp", "127.0.0.1:0") as process:
        assert process.stderr
        assert b"Listening on 127.0.0.1:" in process.stderr.readline()
        assert process.stderr.readline().startswith(b"Secret: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(LONGEST) == 130
        assert process.stderr.read() == b""


def test_a_terminal_that_speaks_ascii_is_no_reason_to_fail(fresh: Shell) -> None:
    ran = fresh.run("doctor", "--json", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert ran.facts["findings"]


def test_python_m_infill_is_infill(fresh: Shell) -> None:
    script = os.path.join(os.path.dirname(fresh.command()[0]), "infill")  # noqa: PTH118, PTH120 - next to the interpreter, not where its link leads
    done = subprocess.run([script, "--help"], capture_output=True, text=True, env=fresh.environment(), timeout=LONGEST)
    assert done.stdout == fresh.run("--help").out
