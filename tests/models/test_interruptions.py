"""Fifty times somebody pulls the plug while a model is fetched, replaced or removed: what can be loaded is always whole."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
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
try:
    download.fetch("small", again=sys.argv[1] == "again")
    if sys.argv[1] == "remove":
        store.remove("small", force=True)
except InfillError as exc:
    print(exc.message)
"""


def whole_or_absent() -> bool:
    """Whether a model is there; whatever is there must be right."""
    try:
        found = store.locate("small")
    except ModelError:
        return False
    with contextlib.suppress(FileNotFoundError):  # removed between the two looks
        assert found.path.read_bytes() == MODEL
    assert not list(store.models_directory().glob("*/*.part"))
    return True


@pytest.mark.slow
def test_fifty_random_interruptions_leave_no_damaged_file(hub: Hub, home: Path) -> None:
    chance = random.Random(7)
    hub.slow = 2_500_000
    present = 0
    for number in range(INTERRUPTIONS):
        if chance.random() < 0.3:
            hub.fault(chance.choice(["drop", "reset", "short", "corrupt", "whole"]), after=chance.randrange(len(MODEL)))
        worker = subprocess.Popen([sys.executable, "-c", WORK, chance.choice(["fetch", "again", "remove"])], stdout=subprocess.DEVNULL)
        moment = time.monotonic() + chance.uniform(0.1, 1.2)
        while time.monotonic() < moment and worker.poll() is None:
            whole_or_absent()
            time.sleep(0.02)
        with contextlib.suppress(psutil.NoSuchProcess):
            victims = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children()]
            chance.choice(victims[number % 2 :] or victims).kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(chance.uniform(0, 0.3))
        worker.kill()
        worker.wait()
        present += whole_or_absent()
    hub.slow = 0
    hub.faults.clear()
    assert fetch("small") is not None
    assert whole_or_absent()
    assert store.verify("small").size == len(MODEL)
    assert 0 < present < INTERRUPTIONS, "some were hit before and some after the model was whole"
