"""Memory of the language server over many requests and documents: `python tests/soak/soak.py --requests 100000 --rounds 200 --documents 500`.

Drives a real `infill lsp` with the bundled model, and prints what the server holds after a warm-up and at regular intervals. The warm-up is
WARM_UP requests and WARM_UP_ROUNDS rounds of documents, in which the allocator reaches its peak (all documents of a round are opened before the first
is closed). Live objects are counted inside the server, after a garbage collection; memory is the resident set of its process, in MB. Exit code 1: it grew by more than MOST_GROWTH after the warm-up, or tasks or documents were left.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from infill.engine import transport
from raw_editor import RawEditor

COUNTING = """
import asyncio, gc
from infill.lsp import server, start

build = server.build

def counting(*words, **more):
    made = build(*words, **more)

    @made.feature("soak/count")
    def count(params):
        gc.collect()
        objects = gc.get_objects()
        tasks = sum(isinstance(one, asyncio.Task) for one in objects)
        return {"tasks": tasks, "documents": len(made.workspace.text_documents), "objects": len(objects)}

    return made

server.build = counting
start.serve(start.stdio())
"""
"""A server that also answers how many objects it holds."""
LINES = "".join(f"def value_{n}(number):\n    return number + {n}\n\n\n" for n in range(10))
WARM_UP = 2_000
WARM_UP_ROUNDS = 20
"""Fewer where fewer are asked for."""
MOST_GROWTH = 0.05
"""Of the memory after the warm-up."""
IDLE = 20
"""Tasks that a server may have while nothing is asked: warming, writing statistics, timers."""
SETTLING = 60.0
BURST = 20
"""Requests of which each but the last is overtaken by the next."""
OVERTAKEN = (-32800, -32801)
"""LSP's codes for a request that was cancelled, and for one whose document has changed."""

Counts = dict[str, float]


@contextlib.contextmanager
def server() -> Iterator[tuple[RawEditor, Path]]:
    """A server with counting, initialized, and its workspace, which is its home too; they and its engine are gone afterwards."""
    before = os.environ.get("INFILL_HOME")
    with tempfile.TemporaryDirectory(prefix="inf-", ignore_cleanup_errors=True) as home:
        os.environ["INFILL_HOME"] = home
        editor = RawEditor(program=COUNTING)
        try:
            editor.initialize(Path(home))
            yield editor, Path(home)
        finally:
            editor.kill()
            if (status := transport.read_status(transport.place())) is not None:
                os.kill(status.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            os.environ.pop("INFILL_HOME")
            if before is not None:
                os.environ["INFILL_HOME"] = before


def counts(editor: RawEditor) -> Counts:
    """Live tasks, open documents, all objects, and memory in MB, once at most IDLE tasks are left or SETTLING seconds are over."""
    assert editor.process is not None
    deadline = time.monotonic() + SETTLING
    while True:
        held: Counts = editor.ask("soak/count", {})["result"]
        if held["tasks"] <= IDLE or time.monotonic() > deadline:
            return {**held, "memory": psutil.Process(editor.process.pid).memory_info().rss / (1 << 20)}
        time.sleep(0.05)


def requests(editor: RawEditor, uri: str, number: int, burst: int = BURST) -> None:
    """Type a character and ask, `number` times, in a document that is opened and closed; each request but every `burst`-th is overtaken by the next.

    Raises AssertionError for an error in an answer, TimeoutError where one is missing.
    """
    editor.open(uri, LINES)
    for n in range(number):
        line, there = 4 * (n % 10) + 2, n // 10 % 2
        change = {"range": {"start": {"line": line, "character": 0}, "end": {"line": line, "character": there}}, "text": "x" * (1 - there)}
        editor.notify("textDocument/didChange", {"textDocument": {"uri": uri, "version": n + 2}, "contentChanges": [change]})
        where = {"textDocument": {"uri": uri}, "position": {"line": line, "character": 1 - there}, "context": {"triggerKind": 1}}
        editor.send({"id": f"soak {n}", "method": "textDocument/inlineCompletion", "params": where})
        if n % burst == burst - 1 or n == number - 1:
            answers = [editor.answer(f"soak {one}") for one in range(n - n % burst, n + 1)]
            assert all(answer.get("error", {"code": OVERTAKEN[0]})["code"] in OVERTAKEN for answer in answers), answers
            editor.notifications.clear()
    editor.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def documents(editor: RawEditor, folder: Path, number: int) -> None:
    """Open `number` documents, then close them."""
    uris = [(folder / f"file{n}.py").as_uri() for n in range(number)]
    for uri in uris:
        editor.open(uri, LINES)
    for uri in uris:
        editor.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def soak(editor: RawEditor, folder: Path, *, number: int, rounds: int, each: int, parts: int = 4, burst: int = BURST) -> Iterator[tuple[str, Counts]]:
    """What the server holds after the warm-up, and after each of `parts` parts of the requests and of the rounds."""
    uri = (folder / "main.py").as_uri()
    requests(editor, uri, min(WARM_UP, number))
    for _ in range(min(WARM_UP_ROUNDS, rounds)):
        documents(editor, folder, each)
    yield "warm-up", counts(editor)
    for part in range(1, parts + 1):
        requests(editor, uri, number // parts, burst)
        yield f"{number * part // parts} requests", counts(editor)
    for part in range(1, parts + 1):
        for _ in range(rounds // parts):
            documents(editor, folder, each)
        yield f"{rounds * part // parts} x {each} documents", counts(editor)


def verdict(held: Sequence[Counts]) -> str:
    """What is wrong with what the server held after the warm-up and later; empty: nothing."""
    growth = max(each["memory"] for each in held) / held[0]["memory"] - 1
    if growth > MOST_GROWTH:
        return f"memory grew by {growth:.1%}, more than {MOST_GROWTH:.0%}"
    return "tasks or documents were left" if any(each["tasks"] > IDLE or each["documents"] for each in held) else ""


def main(show: Callable[[str], object] = print) -> str:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--parts", type=int, default=10, help="How often to measure while requests, and then documents, are sent.")
    parser.add_argument("--burst", type=int, default=BURST, help="Requests of which each but the last is overtaken by the next.")
    chosen = parser.parse_args()
    loads = {"burst": chosen.burst, "number": chosen.requests, "rounds": chosen.rounds, "each": chosen.documents, "parts": chosen.parts}
    held: list[Counts] = []
    with server() as (editor, folder):
        for what, counted in soak(editor, folder, **loads):
            held.append(counted)
            facts = ", ".join(f"{counted[name]} {name}" for name in ("tasks", "documents", "objects"))
            show(f"{time.strftime('%H:%M:%S')} {what:>24}: {counted['memory']:.1f} MB, {facts}")
    return verdict(held)


if __name__ == "__main__":
    sys.exit(main())
