"""The models on this machine, and where their files are. Uses neither the network nor llama.cpp.

data/models/<id>/manifest.json      what it is and where it came from: written last, so that an incomplete model is never found
data/models/<id>/<file>.gguf        its files, unless the manifest links to them elsewhere (Ollama's, the user's own folder)
data/models/.incoming/<id>/         unfinished downloads
data/models/.locks/<id>.lock        held while a model is added, replaced or removed

A model appears and disappears when its directory is renamed: completely or not at all, also when a process is killed or another one reads.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from infill import paths, state
from infill.errors import BadModelFile, ChecksumMismatch, InfillError, ModelError, ModelMissing, UnknownModel
from infill.models import catalog, checked, gguf
from infill.models.checked import Checked
from infill.state import BUNDLED, write_atomically

BUNDLED_TITLE = "infill tiny (6 M parameters, Python only)"
LONGEST_TITLE = 100
LOW_DISK = 0.10
"""A disk with less than this free share is nearly full."""
CHUNK = 4 * 1024 * 1024

Source = Literal["bundled", "hub", "file", "folder", "ollama", "lmstudio", "huggingface", "quantized"]


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be loaded on this machine."""

    id: str
    title: str
    path: Path
    fim_order: Literal["", "psm", "spm"] = ""
    """From the catalogue, else from a check. Empty: from the file, else prefix-suffix-middle."""
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Calibration temperature: divides the log-probability of a line; fitted by `models.calibration` in a check."""


class StoredFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of an installed model."""

    name: str
    """In the manifest's directory; with `link`, elsewhere."""
    size: Annotated[int, msgspec.Meta(ge=0)]
    sha256: str = ""
    """Empty for a linked file that was not hashed yet."""
    own_hash: bool = False
    """The hash was computed from the downloaded file: its source published none."""
    link: str = ""
    """The absolute path of a file that infill does not own: it is never changed or deleted."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The record of an installed model."""

    id: str
    """Without `local:`."""
    title: str
    source: Source
    files: Annotated[tuple[StoredFile, ...], msgspec.Meta(min_length=1)]
    """The first one is loaded: llama.cpp finds the other parts by their names."""
    repository: str = ""
    revision: str = ""
    licence: str = ""
    commercial: bool = True
    quantization: str = ""
    roles: tuple[state.Role, ...] = ("complete",)
    fim_order: Literal["", "psm", "spm"] = ""
    context: int = 0
    installed: float = 0.0
    """Seconds since 1970."""

    @property
    def full_id(self) -> str:
        return catalog.PREFIX + self.id

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def unproven(self) -> str:
        """What a checksum cannot prove about this model, as a sentence; empty where its source published one for each file."""
        if any(not file.sha256 for file in self.files):
            return "No checksum is known: only sizes and headers can be checked."
        if any(file.own_hash for file in self.files):
            return "Its source published no checksum: it is compared with what arrived first."
        return ""

    @property
    def path(self) -> Path:
        first = self.files[0]
        return Path(first.link) if first.link else models_directory() / self.id / first.name


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """Disk space that models use, and what is free."""

    directory: Path
    used: int
    """Bytes of installed models, without linked files."""
    incoming: int
    """Bytes of unfinished downloads."""
    free: int
    total: int

    @property
    def low(self) -> bool:
        return self.free < self.total * LOW_DISK


def models_directory() -> Path:
    """The directory of installed models."""
    return paths.data_directory() / "models"


def locate(model_id: str) -> ModelFile:
    """Find an installed model's file. Raises UnknownModel or ModelMissing."""
    manifest = find(model_id)
    for file in manifest.files:
        path = Path(file.link) if file.link else models_directory() / manifest.id / file.name
        if not path.is_file():
            hint = f"It was at {path}. Choose another model, or `infill models remove {manifest.full_id}` and get it again."
            raise ModelMissing(f"The file of {manifest.title} no longer exists.", hint)
    found = checked.result(manifest.path) or Checked(holes=0, filled=0)
    order = manifest.fim_order or found.order
    return ModelFile(id=manifest.full_id, title=manifest.title, path=manifest.path, fim_order=order, temperature=found.temperature)


def find(model_id: str) -> Manifest:
    """The manifest of an installed model. Raises UnknownModel, or ModelMissing for one that is only in the catalogue."""
    short = catalog.short(model_id)
    if manifest := installed_as(short):
        return manifest
    if entry := catalog.load().entries.get(short):
        if entry.path:
            return _of_own_path(entry)
        raise ModelMissing(f"{entry.title} ({entry.quantization}) is not on this machine yet.", f"Get it with `infill models download {short}`.")
    near = catalog.meant(model_id, [*(manifest.id for manifest in installed()), *catalog.load().entries])
    raise UnknownModel(f"There is no model {model_id!r}.", f"{near} `infill models list` shows those that are installed.".strip())


def installed_as(short: str) -> Manifest | None:
    """The manifest of an installed model by its id without `local:`; None if it is not installed."""
    if catalog.PREFIX + short == BUNDLED:
        return _bundled()
    if not catalog.ID.fullmatch(short):
        return None
    manifest = state.read(models_directory() / short / "manifest.json", Manifest)
    return manifest if manifest is not None and manifest.id == short else None


def installed() -> list[Manifest]:
    """All models on this machine: the bundled one, downloaded and imported ones, and files of the user's own catalogue."""
    with contextlib.suppress(OSError):
        names = sorted(entry.name for entry in models_directory().iterdir() if not entry.name.startswith("."))
        found = [manifest for name in names if (manifest := installed_as(name))]
        return [_bundled(), *found, *_own_paths({manifest.id for manifest in found})]
    return [_bundled(), *_own_paths(set())]


def incoming_directory(short: str) -> Path:
    """The staging folder for a model's files."""
    return models_directory() / ".incoming" / short


def install(manifest: Manifest, staged: Path | None = None) -> Manifest:
    """Make a model available. `staged` holds all its files (None where all are linked). The caller holds `locked(manifest.id)`.

    Raises InfillError where the directory cannot be written.
    """
    manifest = msgspec.structs.replace(manifest, installed=manifest.installed or time.time())
    with writing():
        staged = staged or incoming_directory(manifest.id)
        staged.mkdir(parents=True, exist_ok=True)
        write_atomically(staged / "manifest.json", _encoded(manifest))
        target = models_directory() / manifest.id
        _set_aside(target)
        state.replace(staged, target)
    return manifest


def _encoded(manifest: Manifest) -> bytes:
    try:
        return msgspec.json.format(msgspec.json.encode(manifest))
    except UnicodeEncodeError as exc:
        raise ModelError(f"The file name of {manifest.id} is not valid Unicode.", "Rename the file, then import it again.") from exc


def remove(model_id: str, force: bool = False) -> Manifest:
    """Delete an installed model (only the link of a linked one). Raises UnknownModel, and ModelError for the chosen one unless forced."""
    manifest = find(model_id)
    if manifest.source == "bundled":
        raise ModelError("The bundled model belongs to the program.", "It takes 13 MB and is only loaded where no other model is chosen.")
    if not force and (where := _chosen_where(manifest.full_id)):
        hint = "Choose another with `infill models use`, or repeat this with --force."
        raise ModelError(f"{manifest.full_id} is the chosen model {where}.", hint)
    with locked(manifest.id), writing():
        _set_aside(models_directory() / manifest.id)
        shutil.rmtree(incoming_directory(manifest.id), ignore_errors=True)
    return manifest


def forget(manifest: Manifest) -> None:
    """Delete a model from the store without checks. The caller holds `locked(manifest.id)`."""
    with writing():
        _set_aside(models_directory() / manifest.id)


def verify(model_id: str, progress: Callable[[int, int], None] = lambda done, total: None) -> Manifest:
    """Hash an installed model's files again and compare. Raises ModelMissing, ChecksumMismatch or BadModelFile."""
    manifest = find(model_id)
    path = locate(model_id).path
    done = 0
    for file in manifest.files:
        here = Path(file.link) if file.link else models_directory() / manifest.id / file.name
        hint = f"`infill models download {manifest.id} --again` replaces it." if manifest.repository else "Import it again."
        if here.stat().st_size != file.size:
            raise ChecksumMismatch(f"{here.name} has {here.stat().st_size:,} bytes, not {file.size:,}.", hint)
        before = done
        digest = sha256_of(here, lambda now, before=before: progress(before + now, manifest.size))  # type: ignore[misc]
        if file.sha256 and digest != file.sha256:
            raise ChecksumMismatch(f"{here.name} is not what was installed: its SHA-256 is {digest[:12]}..., not {file.sha256[:12]}...", hint)
        done += file.size
    gguf.read(path)
    return manifest


def storage() -> Storage:
    """The disk space that models use, and the free space."""
    directory = models_directory()
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    disk = shutil.disk_usage(existing)
    used = sum(file.size for manifest in installed() if manifest.source != "bundled" for file in manifest.files if not file.link)
    incoming = sum(file.stat().st_size for file in (directory / ".incoming").rglob("*") if file.is_file())
    return Storage(directory=directory, used=used, incoming=incoming, free=disk.free, total=disk.total)


def sha256_of(path: Path, progress: Callable[[int], None] = lambda done: None) -> str:
    """The SHA-256 of a file. `progress` gets the bytes done; an exception that it raises stops the hashing."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            progress(stream.tell())
    return digest.hexdigest()


@contextlib.contextmanager
def locked(short: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock to add, replace or remove this model. The operating system releases it when this process exits.

    Raises ModelError where another process holds it for longer than `wait_seconds`.
    """
    import filelock

    with writing():
        directory = paths.private_directory(models_directory() / ".locks")
        lock = filelock.FileLock(directory / f"{short}.lock", timeout=wait_seconds)
        try:
            lock.acquire()
        except filelock.Timeout as exc:
            raise ModelError(f"Another window or terminal is just working on {short}.", "Wait until it is done, then try again.") from exc
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Map errors of the operating system to InfillError with the next step."""
    try:
        yield
    except PermissionError as exc:
        hint = "Give yourself the right to write there, or set INFILL_HOME to another directory."
        raise InfillError(f"The directory of models cannot be written: {exc.filename or models_directory()}.", hint) from exc
    except OSError as exc:
        if exc.errno == 28:  # ENOSPC
            raise InfillError(f"The disk of {models_directory()} is full.", "Free some space (`infill models list` shows what models take).") from exc
        hint = "Check the disk, or set INFILL_HOME to another directory."
        raise InfillError(f"The directory of models cannot be written: {exc.strerror or exc}.", hint) from exc


def is_whole(path: Path) -> gguf.Facts:
    """The metadata of a file, after a check that it is complete. Raises BadModelFile."""
    if not path.is_file():
        raise BadModelFile(f"{path} is not a file.", "Give the path of a *.gguf file.")
    return gguf.facts(path)


def title_of(facts: gguf.Facts, path: Path) -> str:
    """A model's title: its file's name without the quantization; where that is not distinctive, the name in its metadata."""
    stem = re.sub(r"-\d{5}-of-\d{5}$", "", path.stem)
    if found := catalog.QUANTIZATION.search(stem):
        stem = stem[: found.start(1)].rstrip("-._") + stem[found.end(1) :]
    if stem and not _SAYS_NOTHING.fullmatch(stem):
        return stem
    return f"{facts.basename} {facts.size_label}".strip() or facts.name or path.stem


_SAYS_NOTHING = re.compile(r"(?i)(?:ggml[-_]?)?(?:model|main|weights|gguf|file|download|unsloth)(?:[-_.]?\d*)|sha256[-:]?[0-9a-f]+|[0-9a-f]{16,}|\d*")


def rename(model_id: str, title: str) -> Manifest:
    """Change an installed model's title. Raises UnknownModel, or ModelError for an empty title or a model without a manifest."""
    manifest, title = find(model_id), " ".join(title.split())
    if manifest.source == "bundled" or installed_as(manifest.id) is None:
        raise ModelError(f"{manifest.full_id} cannot be renamed.", "Models that were downloaded or imported can.")
    if not title or len(title) > LONGEST_TITLE:
        raise ModelError(f"A title has 1 to {LONGEST_TITLE} characters.", "Give another one.")
    renamed = msgspec.structs.replace(manifest, title=title)
    with locked(manifest.id), writing():
        write_atomically(models_directory() / manifest.id / "manifest.json", msgspec.json.format(msgspec.json.encode(renamed)))
    return renamed


def roles_of(facts: gguf.Facts) -> tuple[state.Role, ...]:
    """The roles of a file, by its header, vocabulary and chat template."""
    if not facts.generates:
        return ()
    if facts.edit_format:
        return ("edit",)
    return ("complete", "generate") if facts.chat else ("complete",)


def _set_aside(directory: Path) -> None:
    """Rename away, then delete, so that a reader sees either all of it or nothing."""
    if not directory.exists():
        return
    grave = directory.parent / ".incoming" / f".removed-{directory.name}-{os.getpid()}-{time.monotonic_ns()}"
    grave.parent.mkdir(parents=True, exist_ok=True)
    state.replace(directory, grave)
    for left in grave.parent.glob(".removed-*"):  # also those of a process that was killed half-way
        shutil.rmtree(left, ignore_errors=True)


def _chosen_where(full_id: str) -> str:
    known = state.load()
    if full_id in known.models.values():
        return "for completions" if known.models.get("complete") == full_id else "for generated code"
    return next((f"in {folder}" for folder, choice in known.workspaces.items() if full_id in choice.values()), "")


def _bundled() -> Manifest:
    path = paths.bundled_model()
    size = path.stat().st_size if path.exists() else 0
    file = StoredFile(name=path.name, size=size, link=str(path))
    return Manifest(
        id=catalog.short(BUNDLED),
        title=BUNDLED_TITLE,
        source="bundled",
        files=(file,),
        licence="MIT",
        quantization="f16",
        fim_order="spm",
        context=768,
    )


def _own_paths(known: set[str]) -> list[Manifest]:
    entries = catalog.load().entries.values()
    return [_of_own_path(entry) for entry in entries if entry.path and entry.id not in known and Path(entry.path).expanduser().is_file()]


def _of_own_path(entry: catalog.Entry) -> Manifest:
    path = Path(entry.path).expanduser()
    file = StoredFile(name=path.name, size=path.stat().st_size if path.exists() else 0, link=str(path))
    return Manifest(
        id=entry.id,
        title=entry.title,
        source="file",
        files=(file,),
        licence=entry.licence,
        commercial=entry.commercial,
        quantization=entry.quantization or catalog.quantization_of(path.name),
        roles=entry.roles,
        fim_order=entry.fim_order,
        context=entry.context,
    )
