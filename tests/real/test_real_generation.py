"""A real model of 135 million parameters writes code through the command line: it parses, and there is neither a fence nor a sentence in it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from infill.answers.prose import is_prose

LONGEST = 240
WISHES = (
    ("python", "a function that adds two numbers"),
    ("python", "a function that reads a file and returns its lines"),
    ("python", "a function that returns the factorial of n"),
    ("python", "a class Stack with push and pop"),
    ("javascript", "a function that reverses a string"),
    ("javascript", "a function that returns the sum of an array"),
    ("javascript", "a function that returns the larger of two numbers"),
    ("c", "a function that returns the maximum of two ints"),
    ("c", "a function that swaps two ints through pointers"),
    ("java", "a class Point with x and y"),
    ("java", "a static method that returns the larger of two ints"),
    ("shellscript", "print the names of all files in the current directory"),
)


def _run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "INFILL_HOME": str(home)}
    command = [sys.executable, "-m", "infill", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=home, stdin=subprocess.DEVNULL, timeout=LONGEST)


def _parses(language: str, code: str, folder: Path) -> bool:
    """Whether a parser that is on this machine takes the code; True where there is none."""
    if language == "python":
        ast.parse(code)
    if language == "javascript" and (node := shutil.which("node")):
        (folder / "a.js").write_text(code)
        return subprocess.run([node, "--check", str(folder / "a.js")], capture_output=True, timeout=60).returncode == 0
    if language == "shellscript" and (bash := shutil.which("bash")):
        return subprocess.run([bash, "-n"], input=code, capture_output=True, text=True, timeout=60).returncode == 0
    return True


@pytest.mark.parametrize(("language", "wish"), WISHES, ids=[wish for _, wish in WISHES])
def test_a_real_model_writes_code_that_parses_without_fences_and_sentences(smol: Path, tmp_path: Path, language: str, wish: str) -> None:
    done = _run(smol, "generate", wish, "--language", language)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert "```" not in done.stdout and "CODE GOES" not in done.stdout
    assert not [line for line in done.stdout.splitlines() if is_prose(line)]
    assert _parses(language, done.stdout, tmp_path)
    assert re.search(r"local:smol: \d+ tokens, \d+ tokens/s", done.stderr)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_a_kill_in_mid_generation_is_a_sentence_and_an_exit_status(smol: Path) -> None:
    (smol / "old.py").write_text("kept = True\n")
    assert _run(smol, "engine", "start", "--no-load").returncode == 0
    command = [sys.executable, "-m", "infill", "generate", "a long class with many methods", "--out", "old.py"]
    environment = {**os.environ, "INFILL_HOME": str(smol)}
    engine = psutil.Process(_engine_pid(smol))
    before = engine.cpu_times().user
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=smol) as process:
        deadline = time.monotonic() + LONGEST
        while engine.cpu_times().user < before + 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(engine.pid, signal.SIGKILL)
        _, said = process.communicate(timeout=LONGEST)
    assert process.returncode == 1, said
    assert "Traceback" not in said
    assert (smol / "old.py").read_text() == "kept = True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process's memory")
def test_an_engine_without_memory_says_so_and_the_next_one_works(smol: Path) -> None:
    (smol / "old.py").write_text("kept = True\n")
    _run(smol, "engine", "stop")
    assert _run(smol, "engine", "start", "--no-load").returncode == 0
    engine = psutil.Process(_engine_pid(smol))
    _, most = engine.rlimit(psutil.RLIMIT_AS)
    engine.rlimit(psutil.RLIMIT_AS, (engine.memory_info().vms + 20_000_000, most))
    failed = _run(smol, "generate", "a function that adds two numbers", "--out", "old.py")
    assert failed.returncode == 1
    assert "emory" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert (smol / "old.py").read_text() == "kept = True\n"
    # a model that could not be loaded is not tried again for a while by the same engine
    assert _run(smol, "engine", "stop").returncode == 0
    assert "def" in _run(smol, "generate", "a function that adds two numbers").stdout


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
from infill.cli import main
sys.argv = ["infill", "generate", "a function that adds two numbers", "--language", "python", "--out", "old.py"]
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_disk_without_room_for_the_code_is_a_sentence_and_loses_nothing(smol: Path) -> None:
    (smol / "old.py").write_text("kept = True\n")
    assert _run(smol, "engine", "start").returncode == 0
    environment = {**os.environ, "INFILL_HOME": str(smol)}
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, env=environment, cwd=smol, timeout=LONGEST)
    assert done.returncode == 1, done.stderr
    assert "old.py cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert (smol / "old.py").read_text() == "kept = True\n"
    assert not [path for path in smol.iterdir() if path.name.startswith((".old", "old.py."))], "no temporary file is left"


def test_generating_takes_less_than_two_gigabytes(smol: Path) -> None:
    assert _run(smol, "engine", "start").returncode == 0
    engine = psutil.Process(_engine_pid(smol))
    done = _run(smol, "generate", "a class Stack with push and pop", "--language", "python")
    assert engine.memory_info().rss < 2_000_000_000
    assert re.search(r"local:smol: \d+ tokens", done.stderr)


def _engine_pid(home: Path) -> int:
    import json

    facts = json.loads(_run(home, "engine", "status", "--json").stdout)
    return int(facts["pid"])
