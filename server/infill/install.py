"""Installs infill into a virtual environment, with a llama.cpp that runs on this machine: prebuilt where possible, else compiled on it.

python3 server/infill/install.py [--environment .venv] [--compile] [--index URL] [--json]        from a clone
python3 -m infill.install --package WHEEL ...                                                   from a wheel on PYTHONPATH (the VS Code extension)

create the environment -> prebuilt llama-cpp-python, one index after the other -> else compile it -> install infill -> check that it generates

Invariants: only the standard library is imported, because nothing is installed yet. After a failure or cancellation, an environment that this run
created is removed, and an older one is kept. With the offline switch nothing is downloaded, and pip uses only what its own settings find locally.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

if not __package__:  # run as a script: the folder of this file is on the path, but its parent is needed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from infill import environment as variables
from infill import llama_package, programs
from infill.llama_package import PACKAGE, STEP, VERSION

OLDEST_PYTHON = (3, 10)
FETCH_SECONDS = 600
CHECK_SECONDS = 120
POLL_SECONDS = 0.2
LINES_KEPT = 400
SECONDS_BETWEEN_LINES = 15
OFFLINE = ("INFILL_OFFLINE", "HF_HUB_OFFLINE")
CHECK = "import sys; from infill import paths; from infill.engine import measure; sys.exit(measure.main(['quick', str(paths.bundled_model()), '1']))"
COMPILERS = {"Darwin": "xcode-select --install", "Windows": 'Visual Studio Build Tools with "Desktop development with C++"'}
LINUX_COMPILER = "Debian, Ubuntu: sudo apt install g++; Fedora: sudo dnf install gcc-c++"

Report = Callable[[str, int, int], None]
"""Arguments: the phase, the steps done and all steps (0 and 0 where unknown)."""


class Failed(Exception):
    """What happened, the next step, and the lines of output with the reason."""

    def __init__(self, message: str, hint: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.hint, self.lines = message, hint, lines


class Installation:
    """One installation into one environment."""

    def __init__(self, environment: Path, package: str, index: str, report: Report, log: TextIO) -> None:
        self._environment = environment.absolute()
        self._python = self._environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        # no command runs in the caller's folder, so a path must be absolute; a bare folder name counts as the name of a package
        is_path = Path(package).is_file() or (Path(package).is_dir() and Path(package).name != package)
        package = str(Path(package).absolute()) if is_path else package
        self._package, self._index, self._report, self._log = package, index, report, log

    def run(self, *, prebuilt: bool) -> None:
        """Install everything. Raises Failed."""
        existed = self._python.exists()
        try:
            if not existed:
                self._create()
            fetched = prebuilt and self._fetch()
            if not fetched:
                self._compile()
            self._install()
            self._check(fetched)
        except BaseException:
            if not existed:
                shutil.rmtree(self._environment, ignore_errors=True)
            raise

    def _create(self) -> None:
        self._report("Creating the virtual environment", 0, 0)
        try:
            venv.EnvBuilder(with_pip=True, clear=True, symlinks=os.name != "nt").create(self._environment)
        except (OSError, subprocess.CalledProcessError) as exc:
            hint = "On Debian and Ubuntu install python3-venv; elsewhere check that the folder can be written to."
            raise Failed(f"The virtual environment {self._environment} could not be created.", hint, (str(exc),)) from exc

    def _fetch(self) -> bool:
        """Install a prebuilt llama-cpp-python; False if none is available."""
        if _offline():
            return False
        for name in llama_package.indexes(platform.system(), platform.machine(), cuda=llama_package.cuda_of_driver()):
            self._report(f"Fetching a prebuilt llama.cpp ({name})", 0, 0)
            code, lines = self._pip(llama_package.fetch_arguments(self._index, name), seconds=FETCH_SECONDS)
            if code == 0:
                return True
            self._log.write(f"no prebuilt llama.cpp from {name}: {llama_package.reasons(lines)}\n")
        self._report("No prebuilt llama.cpp for this machine", 0, 0)
        return False

    def _compile(self, *options: str) -> None:
        if not llama_package.compiler():
            how = COMPILERS.get(platform.system(), LINUX_COMPILER)
            raise Failed("llama.cpp has to be compiled here, and no C++ compiler was found.", f"Install one ({how}), then run this again.")
        self._report("Installing llama.cpp", 0, 0)
        with tempfile.TemporaryDirectory() as folder:
            flags = f"{os.environ.get('CMAKE_ARGS', '')} {shlex.join(llama_package.compile_flags(Path(folder)))}".strip()
            # its dependencies are installed with infill; offline, pip's own settings may provide a wheel, so no source hash is required
            wanted = [f"{PACKAGE}=={VERSION}"] if _offline() else llama_package.source_arguments(Path(folder))
            arguments = ["--verbose", "--no-deps", *options, *wanted]
            code, lines = self._pip(arguments, phase="Compiling llama.cpp for this machine", more={"CMAKE_ARGS": flags})
        if code != 0:
            raise Failed("llama.cpp could not be compiled.", "Fix what these lines name, then run this again.", llama_package.reasons(lines))

    def _install(self) -> None:
        self._report("Installing infill", 0, 0)
        code, lines = self._pip(["--upgrade", self._package])
        if code != 0:
            hint = "Check the connection to the package index, then run this again."
            raise Failed("infill could not be installed.", hint, llama_package.reasons(lines))

    def _check(self, fetched: bool) -> None:
        """Generate with the bundled model in a process of its own (it may crash). A failing prebuilt llama.cpp is replaced by a compiled one."""
        self._report("Checking that it generates", 0, 0)
        code, lines = self._follow([str(self._python), "-c", CHECK], seconds=CHECK_SECONDS)
        if code == 0 and any("bundled_per_second" in line for line in lines):
            return
        if not fetched:
            raise Failed("llama.cpp was installed, but does not run.", "Report this with the lines below.", llama_package.reasons(lines))
        self._report("The prebuilt llama.cpp does not run on this machine", 0, 0)
        self._compile("--force-reinstall")
        self._check(fetched=False)

    def _pip(self, arguments: list[str], *, phase: str = "", more: Mapping[str, str] | None = None, seconds: float = 0) -> tuple[int, list[str]]:
        command = [str(self._python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
        return self._follow(command, phase=phase, more={**({"PIP_NO_INDEX": "1"} if _offline() else {}), **(more or {})}, seconds=seconds)

    def _follow(self, command: list[str], *, phase: str = "", more: Mapping[str, str] | None = None, seconds: float = 0) -> tuple[int, list[str]]:
        """Run a program for at most `seconds` (0: no limit): its exit code and last lines. Logs its output and reports ninja's steps."""
        self._log.write(f"{shlex.join(command)}\n")
        kept: list[str] = []
        until = time.monotonic() + seconds if seconds else float("inf")
        with _running(command, {**variables.inherited(), **(more or {})}) as (process, lines):
            while time.monotonic() < until:
                try:
                    line = lines.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    continue
                if line is None:
                    return process.wait(), kept
                self._log.write(line)
                kept = [*kept[1 - LINES_KEPT :], line]
                if phase and (found := STEP.search(line)):
                    self._report(phase, int(found[1]), int(found[2]))
        return -1, [*kept, f"error: no end within {seconds:.0f} s"]


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Any:
    """A program and its lines, None at their end. It and its child processes are stopped at the end of the block."""
    options: dict[str, Any] = {} if sys.platform == "win32" else {"start_new_session": True}
    # not in the caller's folder: Python would import a `pip.py` from a cloned repository there
    options["cwd"] = Path(command[0]).parent
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, **options)
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        with process.stdout or contextlib.nullcontext(()) as output:
            for line in output:
                lines.put(line.decode("utf-8", "replace"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        yield process, lines
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        subprocess.run([programs.of_windows("taskkill.exe"), "/pid", str(process.pid), "/t", "/f"], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _offline() -> bool:
    return any(os.environ.get(name, "").strip().lower() not in {"", "0", "false", "no", "off"} for name in OFFLINE)


# ---- output


class Terminal:
    """Shows phases, steps and elapsed time: one line that is redrawn on a terminal, else a new line from time to time."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._phase, self._written = "", 0.0

    def __call__(self, phase: str, done: int, steps: int) -> None:
        elapsed = time.monotonic() - self._began
        text = f"{phase}{f': step {done} of {steps}' if steps else ''}  ({elapsed // 60:.0f}:{elapsed % 60:02.0f})"
        if sys.stderr.isatty():
            sys.stderr.write(f"{chr(10) if self._phase and phase != self._phase else ''}\r\x1b[K{text}")
        elif phase != self._phase or elapsed - self._written >= SECONDS_BETWEEN_LINES:
            sys.stderr.write(f"{text}\n")
            self._written = elapsed
        self._phase = phase
        sys.stderr.flush()


def _as_json(phase: str, done: int, steps: int) -> None:
    print(json.dumps({"phase": phase, "done": done, "steps": steps}), flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="install.py", description="Install infill, with a llama.cpp that runs on this machine.")
    parser.add_argument("--environment", type=Path, default=Path(".venv"), help="The virtual environment to create or to use. Default: .venv")
    parser.add_argument("--package", default=str(Path(__file__).resolve().parents[2]), help="What to install. Default: the clone of this file")
    parser.add_argument("--compile", action="store_true", help="Compile llama.cpp without looking for a prebuilt one.")
    parser.add_argument("--index", default=llama_package.INDEX, help="Address of the prebuilt indexes, one per backend below it.")
    parser.add_argument("--json", action="store_true", help="Print progress as JSON, one object a line.")
    return parser.parse_args(arguments)


def _failed(failure: Failed, log: Path, as_json: bool) -> int:
    facts = {"error": failure.message, "hint": failure.hint, "lines": failure.lines, "log": str(log)}
    if as_json:
        print(json.dumps(facts), flush=True)
        return 1
    sys.stderr.write("\n".join([f"\n{failure.message}", *(f"  {line}" for line in failure.lines), failure.hint, f"The whole output: {log}\n"]))
    return 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Returns 0: installed, 1: failed, 130: cancelled."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    handle, name = tempfile.mkstemp(prefix="infill-install-", suffix=".log")
    log = Path(name)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            _install(options, file)
    except Failed as failure:
        return _failed(failure, log, options.json)
    except KeyboardInterrupt:
        sys.stderr.write("\nInstallation cancelled.\n")
        log.unlink()
        return 130
    log.unlink()
    if not options.json:
        sys.stderr.write(f"\ninfill is installed in {options.environment}.\n")
    return 0


def _install(options: argparse.Namespace, log: TextIO) -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise Failed("infill needs Python 3.10 or newer.", f"This is Python {platform.python_version()}: run it with a newer one.")
    report = _as_json if options.json else Terminal()
    Installation(options.environment, options.package, options.index, report, log).run(prebuilt=not options.compile)


if __name__ == "__main__":
    sys.exit(main())
