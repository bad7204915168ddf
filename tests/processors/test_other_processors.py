"""A completion with the bundled model on processors other than this machine's, by a llama.cpp that `.ci/portable` built for them."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from emulation import Emulated, native_features

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),  # an emulated processor is ten times slower
    pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="qemu-x86_64 emulates processors on Linux x86-64"),
]
BUILDS = os.environ.get("INFILL_TEST_PORTABLE", "")
"""The folder that `.ci/portable` prints."""
PLACE = "docs/examples/temperature.py:8:5"


@pytest.mark.skipif(not BUILDS, reason="no llama.cpp for other processors: INFILL_TEST_PORTABLE names none (see .ci/portable)")
@pytest.mark.parametrize(("processor", "build", "uses"), [("Nehalem", "x86-64-v2", set()), ("Haswell", "haswell", {"AVX", "AVX2", "FMA", "F16C"})])
def test_the_bundled_model_completes_on_an_older_processor(
    processor: str, build: str, uses: set[str], emulate: Callable[[str, str], Emulated]
) -> None:
    machine = emulate(processor, str(Path(BUILDS) / build))
    done = machine.complete(PLACE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), done.stderr
    assert {"AVX", "AVX2", "FMA", "F16C", "AVX512"} & set(machine.features) == uses


def test_an_instruction_that_the_processor_lacks_is_named_as_the_cause(emulate: Callable[[str, str], Emulated]) -> None:
    """The installed llama.cpp was compiled for this machine. What it uses is recorded when it first runs, as in a home that two machines share."""
    if "AVX" not in native_features():
        pytest.skip("the installed llama.cpp runs on Nehalem too")
    machine = emulate("Nehalem", "")
    machine.natively("-m", "infill", "complete", PLACE)
    machine.natively("-m", "infill", "engine", "stop")
    done = machine.complete(PLACE)
    assert "was built for another processor: it uses" in done.stderr
    assert "AVX" in done.stderr
    machine.natively("-m", "infill", "engine", "stop")
    shutil.rmtree(machine.home / "state" / "builds")
    done = machine.complete(PLACE)
    assert "it uses an instruction that this processor cannot execute" in done.stderr
    assert done.stderr.count("infill build --prebuilt") == 1
