"""Building llama.cpp for this machine: against tool chains that are files, and a pip that is a script."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from infill import paths
from infill.engine import build
from infill.engine.build import BuildFailed, BuildPlan, Tools
from infill.models import child, gguf, kernels, library
from infill.models.fit import Plan
from infill.models.machine import Cpu, Machine, Nvidia

CARD = Nvidia(title="RTX 4050", total=6, free=5, compute_capability="8.9")
GOOD = """
import pathlib, sys
target = pathlib.Path(sys.argv[1])
target.mkdir()
for step in range(1, 4): print(f"[{step}/3] Building CXX object", flush=True)
(target / "llama_cpp").symlink_to(sys.argv[2])
(target / "infill_built_by_test.txt").touch()
"""
BAD = """
print("[1/3] Building CXX object")
print("fatal error: omp.h: No such file or directory")
raise SystemExit(1)
"""


def machine(system: str = "Linux", architecture: str = "x86_64", nvidia: tuple[Nvidia, ...] = ()) -> Machine:
    return Machine(system=system, architecture=architecture, cpu=Cpu(), memory_total=16, memory_free=8, nvidia=nvidia)  # type: ignore[arg-type]


def tool(folder: Path, name: str, script: str = "") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="the tools are shell scripts")
def test_tools_are_found_on_the_path_and_where_they_install_themselves(tmp_path: Path) -> None:
    nvcc, glslc = tool(tmp_path / "cuda" / "bin", "nvcc"), tool(tmp_path / "vulkan" / "bin", "glslc")
    hipcc = tool(tmp_path / "rocm" / "bin", "hipcc")
    tool(tmp_path / "rocm" / "bin", "rocm_agent_enumerator", "echo gfx000; echo gfx1100; echo gfx1100")
    compiler = tool(tmp_path / "bin", "g++")
    places = {
        "PATH": str(tmp_path / "bin"),
        "CUDA_PATH": str(tmp_path / "cuda"),
        "VULKAN_SDK": str(tmp_path / "vulkan"),
        "ROCM_PATH": str(tmp_path / "rocm"),
    }
    found = build.find_tools(machine(nvidia=(CARD, CARD)), places)
    assert (found.compiler, found.nvcc, found.vulkan, found.hip) == (compiler, nvcc, glslc, hipcc)
    assert (found.architectures, found.hip_targets, found.cmake) == (("89",), ("gfx1100",), "")
    nothing = build.find_tools(machine(), {"PATH": str(tmp_path / "empty"), "CUDA_PATH": "/nowhere", "ROCM_PATH": "/nowhere"})
    assert nothing == Tools()


@pytest.mark.parametrize(
    ("where", "tools", "backend", "flag"),
    [
        pytest.param(machine(), Tools(compiler="c++"), "cpu", "-DGGML_NATIVE=ON", id="nothing special"),
        pytest.param(
            machine(nvidia=(CARD,)),
            Tools(compiler="c++", nvcc="/cuda/nvcc", architectures=("89",)),
            "cuda",
            "-DCMAKE_CUDA_ARCHITECTURES=89",
            id="NVIDIA",
        ),
        pytest.param(
            machine(nvidia=(CARD,)), Tools(compiler="c++", vulkan="glslc"), "vulkan", "-DGGML_VULKAN=ON", id="NVIDIA with the Vulkan SDK only"
        ),
        pytest.param(machine(nvidia=(CARD,)), Tools(compiler="c++"), "cpu", "-DGGML_NATIVE=ON", id="NVIDIA without any SDK"),
        pytest.param(machine(), Tools(compiler="c++", hip="hipcc", hip_targets=("gfx1100",)), "hip", "-DAMDGPU_TARGETS=gfx1100", id="AMD"),
        pytest.param(machine("Darwin", "arm64"), Tools(compiler="c++", metal=True), "metal", "-DGGML_METAL=ON", id="Apple"),
    ],
)
def test_the_backend_and_flags_follow_from_the_hardware(home: Path, where: Machine, tools: Tools, backend: str, flag: str) -> None:
    found = build.plan("auto", tools, where)
    assert found.backend == backend
    assert flag in found.flags
    assert found.reasons
    assert found.missing == ()


@pytest.mark.parametrize(
    ("wanted", "says"), [("cuda", "CUDA toolkit"), ("vulkan", "Vulkan SDK"), ("hip", "ROCm"), ("metal", "Metal"), ("cpu", "C++ compiler")]
)
def test_what_is_missing_is_named_and_nothing_is_started(home: Path, wanted: build.Wanted, says: str) -> None:
    found = build.plan(wanted, Tools(), machine())
    assert any(says in missing for missing in found.missing)
    with pytest.raises(BuildFailed) as failure:
        build.build(found)
    assert "remote provider" in failure.value.hint
    assert library.current() is None


AMX = msgspec.structs.replace(machine(), cpu=Cpu(features=("AVX512", "AMX")))
FACTS = gguf.facts(paths.bundled_model())
BAD_AMX = kernels.Result(works=False, why="crashed (SIGILL)")
GOOD_GCC = Tools(compiler="c++", amx_compilers=("/usr/bin/gcc-13", "/usr/bin/g++-13"))
NO_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"


def self_tests(with_extra_buffers: kernels.Result, without: kernels.Result) -> None:
    """What a self-test leaves of a model on the processor."""
    kernels.keep(Plan(), FACTS, with_extra_buffers)
    kernels.keep(Plan(extra_buffers=False), FACTS, without)


def test_a_compiler_that_is_not_affected_builds_where_amx_failed(home: Path) -> None:
    plain = build.plan("cpu", GOOD_GCC, AMX)
    assert not any("COMPILER" in flag or "FLAGS" in flag for flag in plain.flags)
    self_tests(BAD_AMX, kernels.Result(works=True))
    found = build.plan("cpu", GOOD_GCC, AMX)
    assert found.flags == (*plain.flags, "-DCMAKE_C_COMPILER=/usr/bin/gcc-13", "-DCMAKE_CXX_COMPILER=/usr/bin/g++-13")
    assert found.reasons[-1] == "It is compiled with /usr/bin/g++-13, because llama.cpp crashed (SIGILL) with AMX."
    assert found.directory != plain.directory


@pytest.mark.parametrize("backend", ["cpu", "cuda"])
def test_amx_is_left_out_where_it_failed_and_no_other_compiler_can_be_used(home: Path, backend: build.Wanted) -> None:
    self_tests(BAD_AMX, kernels.Result(works=True))
    found = build.plan(backend, Tools(compiler="c++") if backend == "cpu" else GOOD_GCC, AMX)
    assert found.flags[-2:] == (f"-DCMAKE_C_FLAGS={NO_AMX}", f"-DCMAKE_CXX_FLAGS={NO_AMX}")
    assert found.reasons[-1] == "It is built without AMX, because llama.cpp crashed (SIGILL) with it."


def test_a_build_that_fails_though_its_compiler_is_good_is_followed_by_one_without_amx(home: Path) -> None:
    self_tests(BAD_AMX, kernels.Result(works=True))
    first = build.plan("cpu", GOOD_GCC, AMX)
    (Path(first.directory) / "llama_cpp" / "lib").mkdir(parents=True)
    (Path(first.directory) / "llama_cpp" / "lib" / "libllama.so").touch()
    build.switch(build._record("cpu", first.directory, first.flags))
    assert build.plan("cpu", GOOD_GCC, AMX).flags == first.flags
    self_tests(BAD_AMX, kernels.Result(works=True))
    assert build.plan("cpu", GOOD_GCC, AMX).flags[-1] == f"-DCMAKE_CXX_FLAGS={NO_AMX}"


@pytest.mark.parametrize(
    ("where", "with_extra_buffers", "without"),
    [
        pytest.param(AMX, kernels.Result(works=True), kernels.Result(works=True), id="all works"),
        pytest.param(AMX, BAD_AMX, BAD_AMX, id="fails without extra buffers too"),
        pytest.param(machine(), BAD_AMX, kernels.Result(works=True), id="no AMX here"),
        pytest.param(msgspec.structs.replace(AMX, system="Windows"), BAD_AMX, kernels.Result(works=True), id="another compiler on Windows"),
    ],
)
def test_nothing_is_changed_where_amx_is_not_the_cause(
    home: Path, where: Machine, with_extra_buffers: kernels.Result, without: kernels.Result
) -> None:
    before = build.plan("cpu", GOOD_GCC, where)
    self_tests(with_extra_buffers, without)
    after = build.plan("cpu", GOOD_GCC, where)
    assert (after.flags, after.reasons) == (before.flags, before.reasons)


@pytest.mark.skipif(sys.platform == "win32", reason="the tools are shell scripts")
@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ({"gcc": "echo 12", "g++": ""}, ()),
        ({"gcc": "echo 13", "g++": ""}, ("gcc", "g++")),
        ({"gcc": "echo 12", "g++": "", "gcc-14": "", "g++-14": ""}, ("gcc-14", "g++-14")),
        ({"gcc": "echo 12", "g++": "", "clang++": ""}, ()),
        ({"gcc": "echo 12", "g++": "", "clang": "", "clang++": ""}, ("clang", "clang++")),
        ({"gcc": "exit 1", "g++": ""}, ()),
    ],
)
def test_compilers_whose_amx_code_works_are_found(tmp_path: Path, installed: dict[str, str], expected: tuple[str, ...]) -> None:
    for name, script in installed.items():
        tool(tmp_path, name, script)
    found = build.find_tools(AMX, {"PATH": str(tmp_path)}).amx_compilers
    assert found == tuple(str(tmp_path / name) for name in expected)


@pytest.fixture
def planned(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildPlan:
    """A plan whose pip is a script that does what `script.py` says."""
    spec = find_spec("llama_cpp")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    monkeypatch.setattr(build, "pip_command", lambda target, *arguments: child.python(str(tmp_path / "script.py"), str(target), str(package)))
    (tmp_path / "script.py").write_text(GOOD)
    return build.plan("cpu", Tools(compiler="c++"), machine())


def test_a_build_is_checked_and_then_used(planned: BuildPlan, tmp_path: Path) -> None:
    shares: list[float] = []
    made = build.build(planned, lambda share, what: shares.append(share))
    assert made is not None
    assert library.current() == made
    assert (Path(made.directory) / "infill_built_by_test.txt").exists()
    assert child.environment()["PYTHONPATH"].startswith(made.directory)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    (tmp_path / "script.py").write_text(BAD)
    again = build.plan("cpu", Tools(compiler="c++"), machine())
    assert again.built
    assert build.build(again) is not None, "what was built before is not built twice"
    assert build.reset()
    assert library.current() is None


def test_a_build_that_fails_leaves_the_one_in_use(planned: BuildPlan, tmp_path: Path) -> None:
    made = build.build(planned)
    (tmp_path / "script.py").write_text(BAD)
    other = msgspec.structs.replace(planned, directory=planned.directory + "2")
    with pytest.raises(BuildFailed, match=r"omp\.h: No such file"):
        build.build(other)
    assert library.current() == made
    assert not Path(other.directory).exists()
    assert "fatal error" in build.log_file().read_text()


def test_a_build_that_does_not_see_its_device_is_not_used(planned: BuildPlan) -> None:
    with pytest.raises(BuildFailed, match="sees no such device"):
        build.build(msgspec.structs.replace(planned, backend="cuda"))
    assert library.current() is None


def test_a_build_that_crashes_is_not_used(planned: BuildPlan, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import pathlib, sys\n(pathlib.Path(sys.argv[1]) / 'llama_cpp').mkdir(parents=True)\n"
        "(pathlib.Path(sys.argv[1]) / 'llama_cpp' / '__init__.py').write_text('import os; os.abort()')"
    )
    with pytest.raises(BuildFailed, match="crashes"):
        build.build(planned)
    assert library.current() is None


def test_a_cancelled_build_leaves_nothing(planned: BuildPlan) -> None:
    assert build.build(planned, cancelled=lambda: True) is None
    assert [path.name for path in library.builds_directory().glob("*")] == []
    assert library.current() is None


def test_a_build_for_another_python_is_not_used(planned: BuildPlan) -> None:
    made = build.build(planned)
    assert made is not None
    build.switch(msgspec.structs.replace(made, python="2.7"))
    assert library.current() is None
    build.switch(made)
    shutil.rmtree(made.directory)
    assert library.current() is None, "its directory is gone"
