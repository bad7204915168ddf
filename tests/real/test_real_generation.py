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


def _engine_pid(home: Path) -> int:
    import json

    facts = json.loads(_run(home, "engine", "status", "--json").stdout)
    return int(facts["pid"])
