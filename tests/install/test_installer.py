"""`server/infill/install.py` as a newcomer runs it: a new environment, a real pip, wheels from this machine and an index on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from wheel_index import WheelIndex, crashing_wheel

from infill import install, llama_package

pytestmark = pytest.mark.slow
BASE_PYTHON = sys._base_executable  # type: ignore[attr-defined]
SCRIPT = Path(install.__file__)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    return tmp_path / "environment"


def variables(packed: Path, home: Path, **more: str) -> dict[str, str]:
    """An empty home, and pip finds the wheels of this machine only."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "INFILL_", "HF_", "VIRTUAL_ENV", "PYTHONPATH"))}
    return mine | {"HOME": str(home), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packed), "NO_PROXY": "*"} | more


def run(environment: Path, package: Path, variables: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [BASE_PYTHON, str(SCRIPT), "--environment", str(environment), "--package", str(package), *options]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=280)


def without(packed: Path, folder: Path, package: str) -> Path:
    """The wheels but for one package."""
    folder.mkdir()
    for wheel in packed.iterdir():
        if not wheel.name.startswith(package):
            (folder / wheel.name).symlink_to(wheel)
    return folder


def test_a_newcomer_gets_a_prebuilt_llama_cpp_and_a_working_infill(
    environment: Path, packed: Path, infill_wheel: Path, llama_wheel: Path, index: WheelIndex, tmp_path: Path
) -> None:
    index.add("cpu", llama_wheel)
    index.add("metal", llama_wheel)
    nothing_local = without(packed, tmp_path / "others", "llama_cpp_python")
    done = run(environment, infill_wheel, variables(nothing_local, tmp_path / "home"), "--index", index.url)
    assert done.returncode == 0, done.stderr
    assert "Fetching a prebuilt llama.cpp" in done.stderr
    assert "Compiling" not in done.stderr
    assert f"infill is installed in {environment}." in done.stderr
    infill = environment / ("Scripts/infill.exe" if sys.platform == "win32" else "bin/infill")
    said = subprocess.run([infill, "--version"], capture_output=True, text=True, timeout=60)
    assert said.returncode == 0
    assert "infill" in said.stdout


def test_editors_read_the_progress_as_json(environment: Path, packed: Path, infill_wheel: Path, index: WheelIndex, tmp_path: Path) -> None:
    done = run(environment, infill_wheel, variables(packed, tmp_path / "home", INFILL_OFFLINE="1"), "--index", index.url, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    phases = [json.loads(line)["phase"] for line in done.stdout.splitlines()]
    assert phases == ["Creating the virtual environment", "Installing llama.cpp", "Installing infill", "Checking that it generates"]
    assert index.asked == [], "with the offline switch nothing is fetched"


def test_a_failure_says_why_and_leaves_no_environment(environment: Path, packed: Path, tmp_path: Path) -> None:
    done = run(environment, tmp_path / "no-such-package.whl", variables(packed, tmp_path / "home", INFILL_OFFLINE="1"), "--json")
    assert done.returncode == 1
    failure = json.loads(done.stdout.splitlines()[-1])
    assert failure["error"] == "infill could not be installed."
    assert 1 <= len(failure["lines"]) <= 3
    assert any("no-such-package" in line for line in failure["lines"])
    assert Path(failure["log"]).exists()
    Path(failure["log"]).unlink()
    assert not environment.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the PATH of this test has no Visual Studio to hide")
def test_a_missing_compiler_is_named_before_anything_is_compiled(
    environment: Path, packed: Path, infill_wheel: Path, index: WheelIndex, tmp_path: Path
) -> None:
    index.add("cpu", crashing_wheel(tmp_path))
    (tmp_path / "bin").mkdir()
    bare = variables(packed, tmp_path / "home", PATH=str(tmp_path / "bin"), CXX="")
    done = run(environment, infill_wheel, bare, "--index", index.url)
    assert done.returncode == 1
    assert "The prebuilt llama.cpp does not run on this machine" in done.stderr
    assert "no C++ compiler was found" in done.stderr
    assert "Install one (" in done.stderr
    assert not environment.exists()


def test_a_source_with_another_content_than_the_locked_one_is_not_compiled(
    environment: Path, packed: Path, infill_wheel: Path, tmp_path: Path
) -> None:
    mirror = without(packed, tmp_path / "mirror", "llama_cpp_python")
    source = mirror / f"llama_cpp_python-{llama_package.VERSION}.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        (tmp_path / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
        archive.add(tmp_path / "setup.py", f"llama_cpp_python-{llama_package.VERSION}/setup.py")
    done = run(environment, infill_wheel, variables(mirror, tmp_path / "home", CXX="c++"), "--compile", "--json")
    assert done.returncode == 1
    failure = json.loads(done.stdout.splitlines()[-1])
    assert failure["error"] == "llama.cpp could not be compiled."
    assert "DO NOT MATCH THE HASHES" in " ".join(failure["lines"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_a_cancelled_installation_leaves_nothing_behind(
    environment: Path, packed: Path, infill_wheel: Path, index: WheelIndex, tmp_path: Path
) -> None:
    index.stalled.update({"cpu", "metal"})
    command = [BASE_PYTHON, str(SCRIPT), "--environment", str(environment), "--package", str(infill_wheel), "--index", index.url, "--json"]
    with subprocess.Popen(command, env=variables(packed, tmp_path / "home"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        while "Fetching" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert "cancelled" in process.stderr.read()
    assert not environment.exists()


def test_an_environment_that_was_there_is_kept_when_the_installation_fails(environment: Path, packed: Path, tmp_path: Path) -> None:
    subprocess.run([BASE_PYTHON, "-m", "venv", str(environment)], check=True, timeout=120)
    done = run(environment, tmp_path / "no-such-package.whl", variables(packed, tmp_path / "home", INFILL_OFFLINE="1"))
    assert done.returncode == 1
    assert "infill could not be installed." in done.stderr
    assert (environment / "pyvenv.cfg").exists()
