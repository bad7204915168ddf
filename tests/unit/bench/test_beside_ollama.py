"""`infill bench speed --peer ollama`: a scripted `ollama` program in place of the real one, which is asked as the real one would be."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from infill.ask import Instruction, Message, Stop
from infill.bench import beside, ollama
from infill.bench.ollama import Answer
from infill.bench.processes import runs
from infill.bench.weights import weights
from infill.cli import app
from infill.engine import launch
from infill.errors import InfillError
from infill.settings import Engine

PROGRAM = '''
"""Serves Ollama's API as far as the comparison needs it, and notes what it was asked and which processes it started."""
import http.server, json, os, pathlib, subprocess, sys, time

notes = pathlib.Path(os.environ["NOTES"])
mode = os.environ.get("MODE", "")


def note(what, value):
    with (notes / what).open("a") as file:
        file.write(json.dumps(value) + "\\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, content):
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer(json.dumps({"version": "0.0.1"}).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        note("asked", {"path": self.path, **body})
        if mode == "error":
            self.answer(json.dumps({"error": "the runner exited"}).encode())
            return
        many = 0 if mode == "empty" else body["options"]["num_predict"]
        pieces = [{"message": {"content": "ab"}} if "messages" in body else {"response": "ab"} for _ in range(many)]
        last = {"done": True, "done_reason": "length", "eval_count": many, "prompt_eval_count": 30, "prompt_eval_duration": 2500000}
        self.answer("".join(json.dumps(piece) + "\\n" for piece in [*pieces, last]).encode())


def serve():
    note("started", os.getpid())
    note("environment", {name: value for name, value in os.environ.items() if name.startswith("OLLAMA_") or name == "HOME"})
    note("started", subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
    if mode == "exits":
        print("\\x1b[1mno space left on device\\x1b[0m")
        sys.exit(3)
    if mode == "silent":
        time.sleep(600)
    host, port = os.environ["OLLAMA_HOST"].split(":")
    http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()


def create():
    note("started", os.getpid())
    note("created", pathlib.Path(sys.argv[sys.argv.index("-f") + 1]).read_text())
    if mode == "create fails":
        print("unsupported architecture")
        sys.exit(1)
    if mode == "create hangs":
        time.sleep(600)


{"serve": serve, "create": create}[sys.argv[1]]()
'''


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the program notes what it did."""
    folder = tmp_path / "notes"
    folder.mkdir()
    monkeypatch.setenv("NOTES", str(folder))
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:1")  # the user's own, which must not matter
    monkeypatch.setenv("OLLAMA_KEEP_ALIVE", "0")
    return folder


@pytest.fixture
def program(tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that can be started, on the PATH by no other name."""
    script = tmp_path / "ollama.py"
    script.write_text(PROGRAM)
    if sys.platform == "win32":
        found = tmp_path / "ollama.cmd"
        found.write_text(f'@"{sys.executable}" "{script}" %*\n')
    else:
        found = tmp_path / "ollama"
        found.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
        found.chmod(0o755)
    monkeypatch.setenv(ollama.VARIABLE, str(found))
    return found


def _noted(notes: Path, what: str) -> list[Any]:
    file = notes / what
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _exists(folder: str) -> bool:
    return Path(folder).exists()


def _alive(notes: Path) -> list[int]:
    return [pid for pid in _noted(notes, "started") if psutil.pid_exists(pid) and runs(psutil.Process(pid))]


def _instruction(tokens: int = 4) -> Instruction:
    return Instruction(slot="s", messages=(Message("user", "add two numbers"),), stop=Stop(max_tokens=tokens))


async def _answer(program: Path, tokens: int = 4) -> Answer:
    async with ollama.served(program, weights("bundled"), 3, 256) as peer:
        return await peer.ask(peer.remote.dialect.generation(_instruction(tokens), ollama.MODEL))


async def test_ollama_is_asked_with_the_same_threads_and_nothing_of_it_is_left(program: Path, notes: Path) -> None:
    answer = await _answer(program)
    assert (answer.text, answer.tokens, answer.evaluated, answer.evaluate_ms) == ("abababab", 4, 30, 2.5)
    assert answer.asked <= answer.first <= answer.last
    (asked,) = _noted(notes, "asked")
    assert asked["path"] == "/api/chat"
    assert asked["options"] | {"num_thread": 3, "num_predict": 4, "temperature": 0.0} == asked["options"]
    assert _noted(notes, "created") == [f"FROM {weights('bundled').path}\n"]
    assert len(_noted(notes, "started")) == 3
    assert not _alive(notes)


async def test_the_user_s_own_ollama_and_its_models_are_left_alone(program: Path, notes: Path) -> None:
    await _answer(program)
    (told,) = _noted(notes, "environment")
    assert told["OLLAMA_HOST"].startswith("127.0.0.1:") and told["OLLAMA_HOST"] != "127.0.0.1:1"
    assert told["OLLAMA_KEEP_ALIVE"] == "-1"
    assert told["HOME"] != os.environ.get("HOME")
    assert not _exists(told["HOME"])
    assert Path(told["OLLAMA_MODELS"]).parent == Path(told["HOME"])


@pytest.mark.parametrize(
    ("mode", "said", "hint"),
    [
        ("exits", "`ollama serve` exited with status 3.", "Its log ends with: no space left on device"),
        ("silent", "`ollama serve` did not answer within", "(nothing)"),
        ("create fails", "`ollama create` exited with status 1.", "It printed: unsupported architecture"),
        ("create hangs", "`ollama create` did not finish within", ""),
        ("error", "ollama:bench reports an error: the runner exited.", ""),
        ("empty", "Ollama sent an answer without text.", ""),
    ],
)
async def test_a_failure_of_ollama_is_told_in_its_own_words_and_ends_all_its_processes(
    mode: str, said: str, hint: str, program: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODE", mode)
    if mode == "silent":
        monkeypatch.setattr(ollama, "START_SECONDS", 2.0)
    if mode == "create hangs":
        monkeypatch.setattr(ollama, "CREATE_SECONDS", 2.0)
    with pytest.raises(InfillError) as caught:
        await _answer(program)
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert not _alive(notes)


async def test_a_comparison_that_is_cancelled_or_fails_leaves_no_process(program: Path, notes: Path) -> None:
    ready = asyncio.Event()

    async def waiting() -> None:
        async with ollama.served(program, weights("bundled"), 1, 256):
            ready.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(waiting())
    await asyncio.wait_for(ready.wait(), 60)
    assert len(_alive(notes)) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not _alive(notes)
    with pytest.raises(ZeroDivisionError):
        async with ollama.served(program, weights("bundled"), 1, 256):
            raise ZeroDivisionError
    assert not _alive(notes)


async def test_a_file_that_is_no_program_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "ollama").write_text("no program")
    with pytest.raises(InfillError, match=r"ollama cannot be started: "):
        await _answer(tmp_path / "ollama")


@pytest.mark.slow
async def test_both_sides_are_asked_the_same_questions_in_turns(program: Path, notes: Path) -> None:
    found = await beside.compare(weights("bundled"), Engine(threads=1), 2, program, lambda _: None)
    assert (found.peer, found.threads, found.rounds) == ("Ollama 0.0.1", 1, 2)
    asked = _noted(notes, "asked")
    assert len(asked) == 3 * 7
    assert {one["path"] for one in asked} == {"/api/generate"}
    assert all(one["options"]["num_thread"] == 1 for one in asked)
    first, behind, repeated, elsewhere, new = [one["prompt"] for one in asked[:5]]
    assert first != behind == repeated != new
    assert first.partition("\n# ")[0] == behind.partition("\n# ")[0] == elsewhere.partition("\n# ")[0] != new.partition("\n# ")[0]
    assert len({one["prompt"] for one in asked}) == 3 * 6
    behind = next(figure for figure in found.figures if "behind" in figure.what)
    assert 0 < float(re.findall(r"\(([\d.]+) tokens\) and 2.5 ms", behind.note)[0]) < 30
    firsts = [figure for figure in found.figures if figure.unit == "ms"]
    assert [len(figure.ours) for figure in firsts] == [len(figure.theirs) for figure in firsts] == [2, 2, 2, 2]
    assert all(figure.ratio > 0 for figure in firsts)
    assert launch.running() is None
    assert not _alive(notes)


def _told(first: float, rate: float, tokens: int, text: str = "") -> Answer:
    return Answer(asked=10.0, first=10.0 + first, last=10.0 + first + (tokens - 1) / rate, text=text, tokens=tokens, evaluated=11, evaluate_ms=4.0)


def _taken(first: float, rate: float, tokens: int = 200) -> beside.Taken:
    long, short = [_told(first, rate, tokens)], [_told(first, rate, 8)]
    return {"drafted": long, "plain": long, "behind": short, "elsewhere": short, "new": short, "repeated": short}


def test_the_ratio_of_the_medians_is_judged_by_its_target() -> None:
    found = beside._comparison("m", "Ollama 1", 2, 1, _taken(0.06, 60.0), _taken(0.1, 40.0))
    assert [round(figure.ratio, 3) for figure in found.figures] == [1.5, 1.5, 0.6, 0.6, 0.6, 0.6]
    assert all(row.met for row in found.rows)
    assert found.rows[2].note.endswith("medians of 1 and 1; prompt processing took 4 (11 tokens) and 4 ms of it")
    assert found.rows[0].note == "60 (60 to 60) and 40 (40 to 40) tokens/s, medians of 1 and 2"
    slower = beside._comparison("m", "Ollama 1", 2, 1, _taken(0.09, 40.0), _taken(0.1, 40.0))
    assert not any(row.met for row in slower.rows)


def test_answers_that_end_early_say_nothing_of_the_speed() -> None:
    found = beside._comparison("m", "Ollama 1", 2, 1, _taken(0.06, 60.0, tokens=20), _taken(0.1, 40.0))
    assert [row.unknown for row in found.rows] == ["the answers were too short"] * 2 + [""] * 4


@pytest.mark.parametrize(
    ("named", "said"),
    [("", "No `ollama` program was found on the PATH."), ("/no/such/ollama", "INFILL_BENCH_OLLAMA names no file: /no/such/ollama.")],
)
def test_without_an_ollama_program_that_is_said_before_anything_is_measured(
    named: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(ollama.VARIABLE, named)
    assert app.run(["bench", "speed", "--peer", "ollama"]) == 1
    told = capsys.readouterr()
    assert said in told.err
    assert "Install Ollama" in told.err
    assert not told.out


def test_the_program_is_found_on_the_path(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ollama.VARIABLE, "")
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    assert ollama.program() == Path(str(shutil.which("ollama")))
