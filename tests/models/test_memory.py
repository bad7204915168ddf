"""The arithmetic against reality: what a process that loads a file and generates really holds, and what llama.cpp says that it allocated.

Both sides come from the same process, so that no bound depends on the processor, the page size or the size of Python itself. Extra buffers are those
that llama.cpp reports beside its plain ones, whatever it calls them (CPU_REPACK, AMX, CPU_KLEIDIAI).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from infill import paths
from infill.bench import shapes
from infill.bench.shapes import Shape
from infill.engine import trial
from infill.models import fit, gguf, hardware, kernels
from infill.models.fit import Plan
from infill.models.store import ModelFile

MIB = 2**20
PLAIN = {"CPU model", "CPU_Mapped model"}
HOLD = """
import json, logging, re, sys
from pathlib import Path
import msgspec, psutil
from infill.ask import Stop
from infill.engine.protocol import Complete
from infill.engine.runtime import Runtime
from infill.models.fit import Plan
from infill.models.store import ModelFile
lines = []
class Listen(logging.Handler):
    def emit(self, record): lines.append(record.getMessage())
logging.getLogger("infill.llama").addHandler(Listen())
logging.getLogger("infill.llama").setLevel(1)
plan = msgspec.json.decode(sys.argv[2], type=Plan)
before = psutil.Process().memory_info().rss
runtime = Runtime.load(ModelFile(id="x", title="x", path=Path(sys.argv[1])), plan, lambda share: True)
ask = Complete(id=1, model="x", slot="a", prefix="def f(x):\\n    return x + 1\\n" * 120, suffix="print(f(2))\\n" * 30,
               stop=Stop(max_tokens=8, ignore_end=True, deadline_ms=300_000))
list(runtime.complete(ask))
grown = psutil.Process().memory_info().rss - before
found = re.findall(r"([\\w.]+) +(model|KV|compute|output) buffer size = +([\\d.]+) MiB", "\\n".join(lines))
print(json.dumps({"before": before, "grown": grown, "buffers": {f"{place} {kind}": float(size) * 2**20 for place, kind, size in found}}))
"""


class Held(msgspec.Struct, frozen=True):
    """What a process that loaded a model and generated took, in bytes."""

    before: int
    """Resident memory before the model was loaded: Python and libraries."""
    grown: int
    buffers: dict[str, float]
    """By llama.cpp's names: `CPU_Mapped model`, `CPU_REPACK model`, `CPU KV`, `CPU compute`, ..."""

    def of(self, kind: str) -> float:
        return sum(size for name, size in self.buffers.items() if name.endswith(f" {kind}"))

    @property
    def extra(self) -> float:
        return self.of("model") - sum(self.buffers.get(name, 0.0) for name in PLAIN)


def hold(file: Path, wanted: Plan) -> tuple[Held, fit.Need]:
    """Load it by what this machine's kernels can do of that plan, and generate; what it took, and what was expected."""
    plan = trial.verified(ModelFile(id="x", title="x", path=file), kernels.baseline(wanted), lambda _: True)
    command = [sys.executable, "-c", HOLD, str(file), msgspec.json.encode(plan).decode()]
    done = subprocess.run(command, capture_output=True, timeout=280)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=Held), fit.need(gguf.facts(file), plan, hardware.machine(fresh=True))


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


def check_buffers(held: Held, expected: fit.Need) -> None:
    """Each kind of buffer is as large as was expected."""
    assert expected.kv == pytest.approx(held.of("KV"), rel=0.01)
    assert expected.compute == pytest.approx(held.of("compute") + held.of("output"), rel=0.10)
    assert expected.rearranged == pytest.approx(held.extra, rel=0.01, abs=0.1 * MIB)


def check(file: Path, plan: Plan) -> None:
    """The process grew by its buffers, the weights and the vocabulary's tables, and by nothing else."""
    held, expected = hold(file, plan)
    check_buffers(held, expected)
    tables = expected.overhead - fit.PROCESS
    allocated = expected.weights + held.extra + held.of("KV") + held.of("compute") + held.of("output") + tables
    sums = f"{file.name}: allocated {allocated / MIB:.0f} MiB, {held.grown / MIB:.0f} MiB resident; {held.buffers}"
    first_use = 0.20 * held.before  # libraries' pages that are read when something is first computed
    assert held.grown == pytest.approx(allocated, abs=0.10 * allocated + first_use), sums


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
        pytest.param(Plan(context=8192, kv_type="q8_0"), id="coarse cache"),
        pytest.param(Plan(context=8192, micro_batch=128, batch=128), id="small batches"),
        pytest.param(Plan(context=8192, flash_attention=False), id="without flash attention"),
        pytest.param(Plan(context=2048, flash_attention=False, micro_batch=256, batch=256), id="without it, shorter"),
        pytest.param(Plan(extra_buffers=False), id="without extra buffers"),
    ],
)
def test_buffers_are_as_large_as_llama_cpp_makes_them(home: Path, shape: Path, plan: Plan) -> None:
    check_buffers(*hold(shape, plan))
