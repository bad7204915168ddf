"""Processors other than this machine's, emulated by Debian's qemu-user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from infill.models import library

SECONDS = 280
ROOT = Path(__file__).parents[2]
SSE = "fpu tsc cx8 cmov mmx fxsr sse sse2 pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm"
FLAGS = {"Nehalem": SSE, "Haswell": f"{SSE} movbe aes xsave avx f16c rdrand fma avx2 bmi1 bmi2"}
"""Of /proc/cpuinfo, by qemu's names of the processors: qemu-user shows a program the real machine's file otherwise."""


class Emulated(msgspec.Struct, frozen=True):
    """A Python that runs on an emulated processor, and so does every process that it starts."""

    python: Path
    home: Path
    variables: dict[str, str]

    def run(self, *arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.python, *arguments], env=self.variables, cwd=ROOT, capture_output=True, text=True, timeout=timeout)

    def complete(self, place: str) -> subprocess.CompletedProcess[str]:
        """`infill complete`, repeated where the emulated engine is too slow for the command line's patience."""
        for _ in range(5):
            done = self.run("-m", "infill", "complete", place, timeout=SECONDS)
            if "does not answer at the moment" not in done.stderr:
                break
        return done

    def natively(self, *arguments: str) -> None:
        """The same home and build on the real processor."""
        variables = {name: value for name, value in self.variables.items() if name != "QEMU_LD_PREFIX"}
        subprocess.run([sys.executable, *arguments], env=variables, cwd=ROOT, capture_output=True, check=True, timeout=SECONDS)

    @property
    def features(self) -> tuple[str, ...]:
        """Instruction sets of llama.cpp's build, as its first process on this processor recorded them."""
        (kept,) = (self.home / "state" / "builds").glob("*.json")
        return msgspec.json.decode(kept.read_bytes(), type=tuple[str, ...])


def emulated(folder: Path, qemu: str, processor: str, build: str) -> Emulated:
    """A virtual environment whose interpreter is a script that starts qemu, so that child processes are emulated too."""
    own = Path(sys.prefix)
    environment = folder / "environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "lib").symlink_to(own / "lib")
    shutil.copy(own / "pyvenv.cfg", environment)
    python = environment / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {qemu} -cpu {processor} -0 "$0" {own / "bin" / "python"} "$@"\n')
    python.chmod(0o755)
    # qemu looks for every file below this folder first
    (folder / "root" / "proc").mkdir(parents=True)
    (folder / "root" / "proc" / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: {processor} (emulated)\nflags\t\t: {FLAGS[processor]}\n")
    home = folder / "home"
    (home / "config").mkdir(parents=True)
    (home / "config" / "settings.toml").write_text("[completion]\ndeadlineMs = 120000\n")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("INFILL_", "PYTHONPATH", "VIRTUAL_ENV"))}
    variables = inherited | {"INFILL_HOME": str(home), "QEMU_LD_PREFIX": str(folder / "root"), "PYTHONPATH": build}
    return Emulated(python, home, variables)


def native_features() -> tuple[str, ...]:
    """Instruction sets that the installed llama.cpp was built for."""
    code = "import llama_cpp; print(llama_cpp.llama_print_system_info().decode())"
    return library.features_of(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout)
