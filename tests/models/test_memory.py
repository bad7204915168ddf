"""The arithmetic against reality: what a process that loads a file and generates really holds, within a tenth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from infill import paths
from infill.bench import shapes
from infill.bench.shapes import Shape
from infill.models import fit, gguf, hardware
from infill.models.fit import Plan

HOLD = """
import json, sys
from pathlib import Path
import msgspec, psutil
from infill.ask import Stop
from infill.engine.protocol import Complete
from infill.engine.runtime import Runtime
from infill.models.fit import Plan
from infill.models.store import ModelFile
plan = msgspec.json.decode(sys.argv[2], type=Plan)
runtime = Runtime.load(ModelFile(id="x", title="x", path=Path(sys.argv[1])), plan, lambda share: True)
ask = Complete(id=1, model="x", slot="a", prefix="def f(x):\\n    return x + 1\\n" * 120, suffix="print(f(2))\\n" * 30,
               stop=Stop(max_tokens=8, ignore_end=True, deadline_ms=300_000))
list(runtime.complete(ask))
print(psutil.Process().memory_info().rss)
"""

ALLOCATE = """
import logging, re, sys
from pathlib import Path
import msgspec
from infill.engine.llama import Context, Model
from infill.models.fit import Plan
lines = []
class Listen(logging.Handler):
    def emit(self, record): lines.append(record.getMessage())
logging.getLogger("infill.llama").addHandler(Listen())
logging.getLogger("infill.llama").setLevel(1)
plan = msgspec.json.decode(sys.argv[2], type=Plan)
model = Model(Path(sys.argv[1]), plan, lambda share: True)
context = Context(model, plan, 8)
print(msgspec.json.encode({kind.replace("AMX", "REPACK"): float(size) for kind, size in re.findall(r"(KV|compute|output|REPACK model|AMX model) buffer size = +([\\d.]+)", "\\n".join(lines))}).decode())
"""


def run(code: str, file: Path, plan: Plan) -> Any:
    command = [sys.executable, "-c", code, str(file), msgspec.json.encode(plan).decode()]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.fixture(scope="module")
def shape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with Qwen's vocabulary, small enough to be made now; a directory of larger ones can be named in INFILL_SHAPES."""
    folder = tmp_path_factory.mktemp("shapes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(shapes.SHAPES, "test", Shape(8, 512, 8, 2, 2048, True))
        shapes.make("test", "q4_k_m", folder / "test.gguf")
    return folder / "test.gguf"


PLANS = [
    pytest.param(Plan(context=8192), id="as planned"),
    pytest.param(Plan(context=2048, kv_type="q8_0"), id="short and coarse cache"),
    pytest.param(Plan(context=4096, batch=256, micro_batch=256), id="small batches"),
]


def check(file: Path, plan: Plan) -> None:
    expected = fit.need(gguf.facts(file), plan, hardware.machine()).resident
    measured = run(HOLD, file, plan)
    sums = f"{file.name}: expected {expected / 2**20:.0f} MiB, measured {measured / 2**20:.0f} MiB"
    assert expected == pytest.approx(measured, rel=0.10), sums


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_the_bundled_model_takes_what_was_expected(home: Path, plan: Plan) -> None:
    check(paths.bundled_model(), plan)


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS)
def test_a_model_with_a_large_vocabulary_takes_what_was_expected(home: Path, shape: Path, plan: Plan) -> None:
    check(shape, plan)


@pytest.mark.slow
@pytest.mark.skipif("INFILL_SHAPES" not in os.environ, reason="no directory of large model files is named in INFILL_SHAPES")
@pytest.mark.parametrize("plan", PLANS)
def test_real_sizes_take_what_was_expected(home: Path, plan: Plan) -> None:
    files = sorted(Path(os.environ["INFILL_SHAPES"]).glob("*.gguf"))
    assert files
    for file in files:
        check(file, plan)


@pytest.mark.slow
@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(Plan(context=8192), id="as planned"),
        pytest.param(Plan(context=8192, kv_type="q8_0"), id="coarse cache"),
        pytest.param(Plan(context=8192, micro_batch=128, batch=128), id="small batches"),
        pytest.param(Plan(context=8192, flash_attention=False), id="without flash attention"),
        pytest.param(Plan(context=2048, flash_attention=False, micro_batch=256, batch=256), id="without it, shorter"),
    ],
)
def test_buffers_are_as_large_as_llama_cpp_makes_them(home: Path, shape: Path, plan: Plan) -> None:
    needed, theirs = fit.need(gguf.facts(shape), plan, hardware.machine()), run(ALLOCATE, shape, plan)
    assert needed.kv / 2**20 == pytest.approx(theirs["KV"], rel=0.01)
    assert needed.compute / 2**20 == pytest.approx(theirs["compute"] + theirs["output"], rel=0.10)
    assert needed.rearranged / 2**20 == pytest.approx(theirs.get("REPACK model", 0.0), rel=0.01, abs=0.1)
