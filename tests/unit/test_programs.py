"""Programs are started by an absolute path in a folder of the search path, never from the current folder, which may be a cloned repository."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest

from infill import install, llama_package, programs

PACKAGE = Path(programs.__file__).parent


def plant(folder: Path, name: str, content: str = "#!/bin/sh\nexit 0\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(content)
    file.chmod(0o755)
    return file


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    (tmp_path / "repository").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path / "repository"


@pytest.mark.parametrize("path", ["", ".", "bin", "./bin", "../repository", os.pathsep, f".{os.pathsep}bin{os.pathsep}"])
def test_no_program_of_the_current_folder_is_found(repository: Path, path: str) -> None:
    for folder in (repository, repository / "bin"):
        plant(folder, "nvidia-smi")
        plant(folder, "nvidia-smi.exe")
    assert programs.find("nvidia-smi", path) is None


def test_windows_own_lookup_in_the_current_folder_is_not_used(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "WINDOWS", True)
    monkeypatch.setenv("PATHEXT", os.pathsep.join([".COM", ".EXE", ".BAT"]))
    plant(repository, "nvidia-smi.EXE")
    installed = plant(tmp_path / "System32", "nvidia-smi.EXE")
    assert programs.find("nvidia-smi", str(tmp_path / "System32")) == str(installed)
    assert programs.find("nvidia-smi.EXE", str(tmp_path / "System32")) == str(installed)
    assert programs.find("nvidia-smi", str(tmp_path / "elsewhere")) is None
    assert programs.of_windows("taskkill.exe").endswith("System32" + os.sep + "taskkill.exe")


def test_the_first_folder_of_the_path_counts_and_a_folder_or_a_plain_file_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "zero" / "cc").mkdir(parents=True)
    plant(tmp_path / "one", "cc").chmod(0o755 if sys.platform == "win32" else 0o644)
    second, _ = plant(tmp_path / "two", "cc"), plant(tmp_path / "three", "cc")
    found = programs.find("cc", os.pathsep.join(str(tmp_path / name) for name in ("zero", *(["one"] if os.name == "posix" else []), "two", "three")))
    assert found == str(second)


@pytest.mark.skipif(sys.platform == "win32", reason="scripts of the shell")
def test_asking_the_graphics_driver_starts_nothing_of_a_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(repository, "nvidia-smi", "#!/bin/sh\ntouch started\necho 'CUDA Version: 12.4'\n")
    monkeypatch.setenv("PATH", f".:{os.environ['PATH']}")
    llama_package.cuda_of_driver()
    assert not (repository / "started").exists()


def test_an_installation_imports_nothing_from_the_current_folder(repository: Path) -> None:
    """`python -m pip` and `python -c` would run what lies there by the name of a module."""
    planted = "open('started', 'w').close()\nraise SystemExit(1)\n"
    for name in ("pip", "json", "infill", "encodings", "sitecustomize"):
        (repository / f"{name}.py").write_text(planted.replace("started", str(repository / "started").replace("\\", "/")))
    for words in (["-m", "pip", "--version"], ["-c", "import json"]):
        with install._running([sys.executable, *words], dict(os.environ)) as (process, lines):
            while lines.get(timeout=120) is not None:
                pass
            assert process.wait(120) == 0
    assert not (repository / "started").exists()


@pytest.mark.parametrize(("given", "used"), [("infill", "infill"), ("infill==1.0", "infill==1.0")])
def test_a_folder_with_the_name_of_the_package_is_not_installed(repository: Path, given: str, used: str) -> None:
    (repository / "infill").mkdir()
    assert install.Installation(repository, given, "", lambda *told: None, io.StringIO())._package == used


def test_a_wheel_and_a_clone_are_named_from_the_callers_folder(repository: Path) -> None:
    (repository / "infill-1.whl").touch()
    (repository / "clone").mkdir()
    for given in ("infill-1.whl", f".{os.sep}clone"):
        found = install.Installation(repository, given, "", lambda *told: None, io.StringIO())._package
        assert found == str(repository / given.rpartition(os.sep)[2])


def test_no_program_is_looked_up_or_started_by_its_bare_name() -> None:
    """Whoever starts a program finds it with `programs.find`; the benchmarks are run by hand."""
    bare = re.compile(
        r"shutil\.which\(|subprocess\.\w+\(\s*\[?\s*[\"'](?!/)|create_subprocess_\w+\(\s*[\"']|os\.(?:system|popen|startfile)\(|shell=True"
    )
    sources = {file.relative_to(PACKAGE).as_posix(): file.read_text("utf-8") for file in PACKAGE.rglob("*.py")}
    assert {name: found[0] for name, text in sources.items() if not name.startswith("bench/") and (found := bare.search(text))} == {}
    assert bare.search('subprocess.run(["taskkill", "/pid"])')
