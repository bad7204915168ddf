"""Packages of fixed versions as a corpus, downloaded once into the cache with the package managers' own clients.

Clients that are not installed are skipped.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from infill import paths
from infill.generation.languages import BY_ENDING

PYTHON = ("httpie==3.2.2", "jinja2==3.1.4", "requests==2.31.0")
NODE = ("animate.css@4.1.1", "bootstrap@5.3.3", "express@4.19.2", "ra-ui-materialui@4.16.18", "rxjs@7.8.1", "svelte@3.59.2")
RUST = ("regex-syntax@0.8.3", "serde_json@1.0.116", "zstd-sys@2.0.10+zstd.1.5.6")
GO = ("github.com/spf13/cobra@v1.8.0", "github.com/go-chi/chi/v5@v5.0.12")
JAVA = ("org.apache.commons:commons-lang3:3.14.0:jar:sources", "com.squareup.okio:okio-jvm:3.9.0:jar:sources")
SECONDS = 300
"""Timeout in seconds for one client."""


def fetched(say: Callable[[str], None]) -> list[Path]:
    """The packages' folders, one for each client. Packages that are not in the cache are downloaded."""
    base = paths.cache_directory() / "bench" / "corpus"
    return [folder for client, fetch in CLIENTS.items() if (folder := _folder(base / client, client, fetch, say))]


def _folder(folder: Path, client: str, fetch: Callable[[Path], None], say: Callable[[str], None]) -> Path | None:
    if (folder / "complete").exists():
        return folder
    say(f"Fetching packages with {client} ...")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        fetch(folder)
    except (OSError, subprocess.SubprocessError, tarfile.TarError, zipfile.BadZipFile) as exc:
        say(f"Left out the packages of {client}: {exc}")
        return None
    (folder / "complete").touch()
    return folder


def _pip(folder: Path) -> None:
    _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), *PYTHON], folder)
    _unpack(folder)


def _npm(folder: Path) -> None:
    _run(["npm", "pack", "--silent", *NODE], folder)
    _unpack(folder)


def _cargo(folder: Path) -> None:
    wanted = "".join(f'{name} = "={version.partition("+")[0]}"\n' for name, _, version in (crate.partition("@") for crate in RUST))
    (folder / "Cargo.toml").write_text(f'[package]\nname = "corpus"\nversion = "0.0.0"\n[lib]\npath = "lib.rs"\n[dependencies]\n{wanted}', "utf-8")
    (folder / "lib.rs").touch()
    _run(["cargo", "vendor", "--quiet"], folder)
    wanted_names = {crate.partition("@")[0] for crate in RUST}
    for crate in (folder / "vendor").iterdir():
        if crate.name not in wanted_names:  # a dependency, whose version is not fixed
            shutil.rmtree(crate)


def _go(folder: Path) -> None:
    import msgspec

    for module in GO:
        found = msgspec.json.decode(_run(["go", "mod", "download", "-json", module], folder))
        shutil.copytree(found["Dir"], folder / module.replace("/", "-"))


def _mvn(folder: Path) -> None:
    for artifact in JAVA:
        _run(["mvn", "-q", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}", "-Dtransitive=false"], folder)
    _unpack(folder)


CLIENTS: dict[str, Callable[[Path], None]] = {"pip": _pip, "npm": _npm, "cargo": _cargo, "go": _go, "mvn": _mvn}


def _run(command: Sequence[str], folder: Path) -> bytes:
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(f"{command[0]} is not installed")
    return subprocess.run([program, *command[1:]], cwd=folder, check=True, timeout=SECONDS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def _unpack(folder: Path) -> None:
    """Extract the source files of every archive in a folder, each into a subfolder with the archive's name."""
    for archive in sorted(folder.glob("*.*")):
        target = folder / archive.name.rpartition(".")[0]
        for name, content in _members(archive):
            parts = PurePosixPath(name).parts
            if ".." in parts or name.startswith("/") or PurePosixPath(name).suffix.lower() not in BY_ENDING:
                continue
            file = target.joinpath(*parts)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        archive.unlink()


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".tgz":
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.isfile() and (content := opened.extractfile(member)):
                    yield member.name, content.read()
        return
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            if not name.endswith("/"):
                yield name, packed.read(name)
