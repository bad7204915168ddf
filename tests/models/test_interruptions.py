"""Fifty times somebody pulls the plug while a model is fetched, replaced or removed: what can be loaded is always whole."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hub import Hub
from small_gguf import MODEL

from infill.errors import ModelError
from infill.models import store
from infill.models.download import fetch

INTERRUPTIONS = 50
WORK = """
import sys
from infill.errors import InfillError
from infill.models import download, store
say = lambda what: print(what, flush=True)
try:
    say("begin")
    download.fetch("small", lambda progress: say(progress.phase), again=sys.argv[1] == "again")
    say("here")
    if sys.argv[1] == "remove":
        store.remove("small", force=True)
        say("gone")
except InfillError as exc:
    say(exc.message)
"""


def whole_or_absent() -> bool:
    """Whether a model is there; whatever is there must be right."""
    try:
        found = store.locate("small")
    except ModelError:
        return False
    with contextlib.suppress(FileNotFoundError):  # removed between the two looks
        assert found.path.read_bytes() == MODEL
    assert not list(store.models_directory().glob("[!.]*/*.part"))
    return True


def steps(what: str) -> int:
    """How many times that work says how far it is, left alone."""
    done = subprocess.run([sys.executable, "-c", WORK, what], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.count("\n")


def interrupt(what: str, after: int, chance: random.Random) -> None:
    """Start that work and kill it, or the process that transfers for it, once it has said that much."""
    worker = subprocess.Popen([sys.executable, "-c", WORK, what], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    for _ in range(after):
        worker.stdout.readline()
        whole_or_absent()
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(worker.pid).children()
        if children and chance.random() < 0.5:
            children[0].kill()
            worker.stdout.readline()
    worker.kill()
    worker.communicate()


@pytest.mark.slow
def test_fifty_random_interruptions_leave_no_damaged_file(hub: Hub, home: Path) -> None:
    chance = random.Random(7)
    hub.slow = 2_500_000
    most = steps("remove")
    present = []
    for _ in range(INTERRUPTIONS):
        if chance.random() < 0.3:
            hub.fault(chance.choice(["drop", "reset", "short", "corrupt", "whole"]), after=chance.randrange(len(MODEL)))
        interrupt(chance.choice(["fetch", "again", "remove"]), chance.randint(0, most + 1), chance)
        present.append(whole_or_absent())
    hub.slow = 0
    hub.faults.clear()
    assert fetch("small") is not None
    assert whole_or_absent()
    assert store.verify("small").size == len(MODEL)
    assert set(present) == {True, False}, "some were hit before and some after the model was whole"
