"""`infill generate`: code on a terminal, in a pipe and in a file, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from commands import LONGEST, Shell

SOURCE = 'class Account:\n    def __init__(self, owner, balance):\n        """Remember both."""\n\n\n# the sum of two numbers\n'
PLACE = "account.py:3:20"


@pytest.fixture(autouse=True)
def _source(shell: Shell) -> None:
    (shell.folder / "account.py").write_text(SOURCE)


def test_in_a_pipe_there_is_the_code_and_nothing_else(shell: Shell) -> None:
    done = shell.run("generate", "--file", PLACE)
    assert done.code == 0
    assert done.out.startswith("        self.")
    assert "\x1b" not in done.out
    assert "does not follow instructions" in done.err
    assert re.search(r"local:bundled: \d+ tokens, \d+ tokens/s", done.err)
    assert (shell.folder / "account.py").read_text() == SOURCE


def test_on_a_terminal_the_code_grows_with_its_speed_below(shell: Shell) -> None:
    done = shell.on_a_terminal("generate", "--file", PLACE)
    assert done.code == 0
    live, _, last = done.out.rpartition("\x1b[2K")
    assert re.search(r"\d+ tokens, \d+/s", live)
    assert "self." in last


def test_it_is_written_to_the_file_that_is_named_and_to_no_other(shell: Shell) -> None:
    done = shell.run("generate", "--file", PLACE, "--out", "new.py")
    assert (done.code, done.out) == (0, "")
    assert (shell.folder / "new.py").read_text().startswith("        self.")
    assert (shell.folder / "account.py").read_text() == SOURCE


@pytest.mark.parametrize("words", [["hello"], ["a function", "--file", PLACE], ["a function", "--model", "bundled"]])
def test_the_bundled_model_refuses_instructions_instead_of_reciting_what_it_knows(shell: Shell, words: list[str]) -> None:
    done = shell.run("generate", *words)
    assert (done.code, done.out) == (1, "")
    assert "does not follow instructions" in done.err
    assert "infill models recommend --role generate" in done.err


@pytest.mark.parametrize("model", ["nosuch", "local:bundle", "openai:nowhere/x", "ollama:x"])
def test_a_model_that_is_not_there_never_lets_another_one_answer(shell: Shell, model: str) -> None:
    for words in (["generate", "add", "--model", model], ["generate", "--file", PLACE, "--model", model], ["models", "use", model]):
        done = shell.run(*words)
        assert (done.code, done.out) == (1, "")
        assert model.partition(":")[0] in done.err
    if model == "local:bundle":
        assert "Did you mean local:bundled?" in done.err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        pytest.param([], 2, "Say what to write", id="nothing was said"),
        pytest.param(["--file", "gone.py:1:1"], 1, "gone.py", id="a file that is not there"),
        pytest.param(["do it", "--model", "local:nonsense"], 1, "nonsense", id="a model that is not there"),
        pytest.param(["--file", PLACE, "--out", "no/such/folder.py"], 1, "cannot be written", id="a place that cannot be written to"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_an_exit_code(shell: Shell, words: list[str], code: int, sentence: str) -> None:
    done = shell.run("generate", *words)
    assert (done.code, done.out) == (code, "")
    assert sentence in re.sub(r"\s+", " ", done.err)
    assert "Traceback" not in done.err


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see when the command has reached the engine")
def test_ctrl_c_stops_at_once_and_the_engine_is_idle_again(shell: Shell) -> None:
    shell.run("generate", "--file", PLACE)
    engine = psutil.Process(shell.run("engine", "status", "--json").facts["pid"])
    os.kill(engine.pid, signal.SIGSTOP)  # so that it is still being written
    try:
        with shell.start("generate", "--file", PLACE) as process:
            _until_connected(process)
            process.send_signal(signal.SIGINT)
            assert process.wait(LONGEST) == 130
            assert process.stdout is not None
            assert process.stdout.read() == b""
    finally:
        os.kill(engine.pid, signal.SIGCONT)
    assert shell.run("generate", "--file", PLACE).code == 0


def _until_connected(process: subprocess.Popen[bytes]) -> None:
    """Bounded wait until the command has opened its socket to the engine."""
    deadline = time.monotonic() + LONGEST
    while not any(file.is_socket() for file in Path(f"/proc/{process.pid}/fd").iterdir()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
