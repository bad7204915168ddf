"""What this machine has: asked in processes that may crash, limited by containers, never an exception."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from infill.models import child, hardware, library
from infill.models.machine import Cpu, Gpu, Machine, Nvidia

FAKE_NVML = r"""
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory;
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strcpy(text, "580.1"); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) { *handle = (void *)(unsigned long)(index + 1); return index ? 9 : 0; }
int nvmlDeviceGetMemoryInfo(void *handle, memory *found) { found->total = 24000; found->free = 20000; return 0; }
int nvmlDeviceGetName(void *handle, char *text, unsigned size) { strcpy(text, "RTX Test"); return 0; }
int nvmlDeviceGetMaxClockInfo(void *handle, int kind, unsigned *clock) { *clock = 10501; return 0; }
int nvmlDeviceGetMemoryBusWidth(void *handle, unsigned *width) { *width = 384; return 0; }
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) { *major = 8; *minor = 9; return 0; }
"""


def test_this_machine_is_described(home: Path) -> None:
    found = hardware.machine(fresh=True)
    assert found.cpu.physical >= 1
    assert found.cpu.useful <= found.cpu.physical
    assert 0 < found.memory_free <= found.memory_total
    assert found.llama_cpp == library.version()
    assert found.disks[0].free > 0
    assert "memory" in hardware.summary(found)
    assert found.problems == ()


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs a C compiler to make a driver's library")
def test_nvidias_library_is_read_and_a_card_that_fails_is_left_out(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "nvml.c"
    source.write_text(FAKE_NVML)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(tmp_path / "libnvidia-ml.so.1"), str(source)], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    (card,) = hardware.nvidia()
    assert card == Nvidia(title="RTX Test", total=24000, free=20000, driver="580.1", compute_capability="8.9", bytes_per_second=10501e6 * 2 * 48)


def test_without_nvidias_library_there_are_no_cards(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_ask", lambda module: "crashed")
    assert hardware.nvidia() == ()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        pytest.param("import os; os.abort()", "crashed", id="aborts"),
        pytest.param("import sys; sys.exit(3)", "crashed", id="fails"),
        pytest.param("print('no json')", "crashed", id="talks nonsense"),
        pytest.param("import time\nwhile True: time.sleep(0.01)", "no answer", id="hangs"),
    ],
)
def test_a_driver_that_misbehaves_costs_a_sentence(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str) -> None:
    (tmp_path / "misbehaving_probe.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(hardware, "PROBE_SECONDS", 1.0)
    real = child.run
    monkeypatch.setattr(child, "run", lambda module, timeout: real("misbehaving_probe", timeout=timeout))
    found = hardware.machine(fresh=True)
    assert says in found.problems[0]
    assert found.gpus == ()
    assert found.memory_total > 0


def probed(*devices: tuple[str, str]) -> hardware.Probed:
    listed = [{"name": name, "kind": kind, "description": name, "total_bytes": 10, "free_bytes": 8} for name, kind in devices]
    return hardware._probed({"llama_cpp": "1", "system": "CPU : AVX2 = 1 | AVX512 = 0 | CUDA : ARCHS = 890 |", "devices": listed})


def test_devices_are_those_that_llama_cpp_would_use() -> None:
    assert [card.name for card in probed(("CPU", "cpu"), ("CUDA0", "gpu"), ("Vulkan0", "igpu")).gpus] == ["CUDA0"]
    (integrated,) = probed(("CPU", "cpu"), ("Vulkan0", "igpu")).gpus
    assert integrated.unified
    assert {"AVX2", "CUDA"} <= set(probed().built_for)
    assert "AVX512" not in probed().built_for


def test_a_containers_limits_count(tmp_path: Path) -> None:
    assert hardware.cgroup_memory_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert hardware.cgroup_memory_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text("4000000000\n")
    (tmp_path / "memory.current").write_text("3000000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 1000000000\n")
    assert hardware.cgroup_memory_limit(tmp_path) == (4_000_000_000, 2_000_000_000)
    assert Cpu(physical=16, performance=8, quota=2.5).useful == 2
    assert Cpu(physical=16, performance=8).useful == 8


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux binds processes to cores")
def test_only_the_cores_that_the_process_is_bound_to_count() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from infill.models import hardware; print(hardware.cpu().useful)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "1"


def test_a_summary_names_what_is_there_and_not_used() -> None:
    found = Machine(
        memory_total=16_000_000_000,
        memory_free=9_100_000_000,
        cpu=Cpu(title="Some CPU", physical=8, features=("AVX2",)),
        nvidia=(Nvidia(title="RTX 4050", total=6, free=5),),
        npus=("Intel NPU",),
    )
    assert hardware.summary(found) == (
        "Some CPU, 8 cores (AVX2), 16.0 GB memory (9.1 GB free), RTX 4050 (not used: this llama.cpp was not built for it, see `infill build`), "
        "Intel NPU (not used)"
    )
    used = msgspec.structs.replace(found, gpus=(Gpu(name="CUDA0", title="RTX 4050", total=6_000_000_000, free=5_600_000_000),), npus=())
    assert hardware.summary(used).endswith("RTX 4050 (5.6 GB of 6.0 GB free)")


def test_a_cloned_repositorys_modules_are_never_imported(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "cloned"
    repository.mkdir()
    for name in ("llama_cpp", "msgspec", "infill"):
        (repository / f"{name}.py").write_text("import pathlib; pathlib.Path(__file__).with_name('was imported').touch()")
    monkeypatch.chdir(repository)
    assert hardware.machine(fresh=True).problems == ()
    assert not (repository / "was imported").exists()


def test_a_child_takes_its_own_children_along(home: Path) -> None:
    code = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()'], stdin=subprocess.PIPE); print(p.pid, flush=True); p.wait()"
    with child.running(child.python("-c", code)) as parent:
        grandchild = psutil.Process(int(parent.line(30) or 0))
    _, alive = psutil.wait_procs([grandchild], timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
