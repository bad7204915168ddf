"""Models that are already on this machine: the user's files, watched folders, Ollama, LM Studio and the Hugging Face cache.

Files are copied only on request. A file that infill does not own is never changed or deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from infill import state
from infill.errors import BadModelFile, InfillError, ModelError, UnknownModel
from infill.models import catalog, gguf, store
from infill.models.store import Manifest, Source, StoredFile

OLLAMA_FOLDERS = ("~/.ollama/models", "/usr/share/ollama/.ollama/models", "/var/lib/ollama/.ollama/models", "/var/lib/ollama/models")
LM_STUDIO_FOLDERS = ("~/.lmstudio/models", "~/.cache/lm-studio/models")
COPY_CHUNK = 4 * 1024 * 1024
WRITTEN_SECONDS = 2.0
"""Seconds. A file in a watched folder that changed more recently counts as still being written."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A model of another program, or in a watched folder."""

    id: str
    """Its id in infill, without `local:`."""
    title: str
    source: Source
    path: Path
    size: int
    sha256: str = ""
    repository: str = ""
    folder: str = ""
    """Its folder below that program's folder, such as `publisher/repository`: distinguishes files with the same name."""

    @property
    def full_id(self) -> str:
        return catalog.PREFIX + self.id


def elsewhere() -> list[Found]:
    """All models of other programs that infill can use."""
    return [*ollama(), *lm_studio(), *hugging_face_cache()]


def find(name: str) -> Found | None:
    """One of them by its id in infill, or by its name in the other program (`ollama:qwen2.5-coder:1.5b-base`)."""
    wanted = catalog.short(name)
    if not wanted.startswith(("ollama", "lmstudio", "cached-", "huggingface:")):  # all have such names: do not search folders for others
        return None
    # as in Ollama, a name without a tag means the tag `latest`
    return next((found for found in elsewhere() if {wanted, f"{wanted}:latest"} & {found.id, f"{found.source}:{found.title}"}), None)


def adopt(found: Found) -> Manifest:
    """Add a file to the store by a link. Raises BadModelFile, or InfillError where the store cannot be written."""
    facts = gguf.facts(found.path)
    parts = gguf.parts_of(found.path)
    found = _with_free_id(found)
    manifest = Manifest(
        id=found.id,
        title=found.title,
        source=found.source,
        files=tuple(_linked(part, found.sha256 if len(parts) == 1 else "") for part in parts),
        repository=found.repository,
        licence="as where it came from",
        quantization=facts.quantization,
        roles=store.roles_of(facts),
        context=facts.context,
    )
    with store.locked(found.id):
        return store.install(manifest)


def import_file(
    path: Path,
    *,
    copy: bool = False,
    model_id: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Manifest | None:
    """Link or copy a file of the user; None when copying was cancelled. Raises BadModelFile or ModelError."""
    path = path.expanduser().absolute()
    facts = store.is_whole(path)
    short = catalog.make_id(model_id or path.name)
    if (there := store.installed_as(short)) and there.path != path:
        raise ModelError(f"There is a model {there.full_id} already ({there.path}).", "Give this one another name with --id.")
    made = Manifest(
        id=short,
        title=store.title_of(facts, path),
        source="file",
        files=(),
        licence="yours",
        quantization=catalog.quantization_of(path.name) or facts.quantization,
        roles=store.roles_of(facts),
        context=facts.context,
    )
    parts = gguf.parts_of(path)
    with store.locked(short):
        if not copy:
            return store.install(msgspec.structs.replace(made, files=tuple(_linked(part) for part in parts)))
        copied = _copy(short, parts, progress, cancelled)
        return store.install(msgspec.structs.replace(made, files=copied)) if copied else None


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """The changes found in the watched folders."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    """Ids of models that were added or removed."""
    arriving: tuple[Path, ...] = ()
    """Files that are still being written."""
    problems: tuple[str, ...] = ()
    """A sentence for each file that cannot be used."""


def look_at(folders: Sequence[str]) -> frozenset[tuple[str, int, int]]:
    """Path, size and modification time of every model file in these folders. The same result means that nothing changed."""
    found = set()
    for folder in folders:
        for path in model_files(Path(folder).expanduser()):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.add((str(path), status.st_size, status.st_mtime_ns))
    return frozenset(found)


def follow(folders: Sequence[str]) -> Followed:
    """Update the store from the watched folders (`models.folders`): add new files and remove deleted ones.

    A file that is still being written is left out until it is complete. Another process may watch other folders, so a model is kept as long as its
    file exists.
    """
    problems: list[str] = []
    there = {found.path: found for folder in folders for found in _in_folder(folder, problems)}
    known = {manifest.path: manifest for manifest in store.installed() if manifest.source == "folder"}
    added: list[str] = []
    removed: list[str] = []
    arriving: list[Path] = []
    for path in [path for path in known if not path.is_file()]:
        with _only_itself(path, problems):
            with store.locked(known[path].id, wait_seconds=5):
                store.forget(known[path])
            removed.append(known[path].full_id)
    for path, found in there.items():
        if path in known and known[path].size == found.size:
            continue
        with _only_itself(path, problems):
            if _is_being_written(path):
                arriving.append(path)
                problems.append(f"{path}: still being written.")
            else:
                # a changed file keeps its id, because the user may have chosen it
                added.append(adopt(msgspec.structs.replace(found, id=known[path].id) if path in known else found).full_id)
    return Followed(added=tuple(added), removed=tuple(removed), arriving=tuple(arriving), problems=tuple(problems))


@contextlib.contextmanager
def _only_itself(path: Path, problems: list[str]) -> Iterator[None]:
    """Record a problem with one file, so that the others are still used."""
    try:
        yield
    except InfillError as exc:
        problems.append(f"{path}: {exc.message}")
    except Exception as exc:
        problems.append(f"{path}: it cannot be used ({type(exc).__name__}).")


def is_watched(path: Path, folders: Sequence[str]) -> bool:
    """Whether a file is in one of these folders."""
    return any(path.is_relative_to(Path(folder).expanduser().absolute()) for folder in folders)


def _is_being_written(path: Path) -> bool:
    """Whether any of its parts changed just now: a copy may have its full size long before its content."""
    now = time.time()
    return any(0 <= now - part.stat().st_mtime < WRITTEN_SECONDS for part in gguf.parts_of(path) if part.exists())


def _with_free_id(found: Found) -> Found:
    """The model with the first free id: its own, with the folders above it, then with a digest of its path. It stays as long as the file exists."""
    above = found.path.parent.parts[-2:]
    names = [found.id, *(catalog.make_id(f"{'-'.join(above[-depth:])}-{found.path.name}") for depth in (1, 2))]
    digest = hashlib.sha256(os.fsencode(found.path)).hexdigest()[:8]
    for called in (*names, f"{found.id[:80]}-{digest}"):
        taken = store.installed_as(called)
        if taken is None or taken.path == found.path:
            return msgspec.structs.replace(found, id=called)
    raise ModelError(f"There is a model {found.full_id} already.", "Import the file under another name with --id.")


def ollama() -> list[Found]:
    """Ollama's models: its manifests name the blobs."""
    folders = [os.environ["OLLAMA_MODELS"]] if os.environ.get("OLLAMA_MODELS") else OLLAMA_FOLDERS
    return [found for folder in folders for found in _ollama(Path(folder).expanduser())]


def lm_studio() -> list[Found]:
    """LM Studio's models: `publisher/repository/file.gguf`."""
    return _told_apart(
        Found(
            id=catalog.make_id(f"lmstudio-{path.name}"),
            title=path.stem,
            source="lmstudio",
            path=path,
            size=_size(path),
            folder=path.parent.relative_to(root).as_posix(),
        )
        for root in (Path(folder).expanduser() for folder in LM_STUDIO_FOLDERS)
        for path in _ggufs(root)
    )


def hugging_face_cache() -> list[Found]:
    """Models that other programs downloaded with the hub's library; its blobs are named by their hashes."""
    home = Path(os.environ.get("HF_HOME", Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()
    found: dict[tuple[str, Path], Found] = {}
    for path in _ggufs(cache):
        where = re.search(r"models--(.+?)--(.+?)/snapshots/", path.as_posix())
        blob = path.resolve()
        if where:
            digest = blob.name if re.fullmatch(r"[0-9a-f]{64}", blob.name) else ""
            called = catalog.make_id(f"cached-{path.name}")
            repository = f"{where[1]}/{where[2]}"
            one = Found(
                id=called, title=path.stem, source="huggingface", path=path, size=_size(path), sha256=digest, repository=repository, folder=repository
            )
            found.setdefault((repository, blob), one)  # two revisions with the same file
    return _told_apart(found.values())


def _told_apart(found: Iterable[Found]) -> list[Found]:
    """The models, with folders in the ids of all files that share a name, so that no id changes when such a file is added or removed."""
    every = list(found)
    names = Counter(each.id for each in every)
    apart = [_with_folder(each) if names[each.id] > 1 else each for each in every]
    seen: Counter[str] = Counter()
    for number, each in enumerate(apart):
        seen[each.id] += 1
        if seen[each.id] > 1:  # revisions of one repository
            digest = hashlib.sha256(os.fsencode(each.path)).hexdigest()[:8]
            apart[number] = msgspec.structs.replace(each, id=f"{each.id[:80]}-{digest}", title=f"{each.title} ({digest})")
    return apart


def _with_folder(found: Found) -> Found:
    start = "lmstudio" if found.source == "lmstudio" else "cached"
    called = catalog.make_id(f"{start}-{found.folder}-{found.path.name}")
    return msgspec.structs.replace(found, id=called, title=f"{found.folder}/{found.title}")


def _ollama(folder: Path) -> Iterator[Found]:
    manifests = folder / "manifests"
    with contextlib.suppress(OSError):
        for file in sorted(path for path in manifests.rglob("*") if path.is_file()):
            with contextlib.suppress(Exception):  # the file is another program's, and may contain anything
                layers = (state.read(file, dict[str, Any]) or {})["layers"]
                weights = [layer for layer in layers if layer["mediaType"] == "application/vnd.ollama.image.model"]
                blob = folder / "blobs" / weights[0]["digest"].replace(":", "-")
                if len(weights) == 1 and blob.is_file():
                    called = _ollama_name(file.relative_to(manifests))
                    digest = weights[0]["digest"].removeprefix("sha256:")
                    yield Found(
                        id=catalog.make_id(f"ollama-{called}"), title=called, source="ollama", path=blob, size=blob.stat().st_size, sha256=digest
                    )


def _ollama_name(path: Path) -> str:
    """`registry.ollama.ai/library/name/tag` -> `name:tag`, Ollama's own name."""
    *where, name, tag = path.parts
    owner = "/".join(part for part in where if part not in ("registry.ollama.ai", "library"))
    return f"{owner}/{name}:{tag}" if owner else f"{name}:{tag}"


def _in_folder(folder: str, problems: list[str]) -> Iterator[Found]:
    root = Path(folder).expanduser()
    if not root.is_dir():
        problems.append(f"The folder {root} of models.folders is not there.")
    for path in _ggufs(root):
        yield Found(id=catalog.make_id(path.name), title=path.stem, source="folder", path=path.absolute(), size=_size(path))


def model_files(root: Path) -> list[Path]:
    """Every `*.gguf` below a folder, in any case, also in linked folders. Each folder is entered once, because links may form cycles."""
    found: list[Path] = []
    entered: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders.sort()
        found += [Path(folder, name) for name in names if name.lower().endswith(".gguf")]
    return sorted(found)


def _ggufs(root: Path) -> list[Path]:
    """The model files below a folder: only the first part of split ones, and no image projectors."""
    files = [path for path in model_files(root) if path.is_file() and "mmproj" not in path.name.lower()]
    return [path for path in files if gguf.parts_of(path)[0] == path]


def _size(path: Path) -> int:
    total = 0
    for part in gguf.parts_of(path):
        with contextlib.suppress(OSError):  # the listing says which part is missing
            total += part.stat().st_size
    return total


def _linked(part: Path, sha256: str = "") -> StoredFile:
    try:
        return StoredFile(name=part.name, size=part.stat().st_size, sha256=sha256, link=str(part))
    except OSError as exc:
        raise BadModelFile(f"The part {part.name} of a split model is missing.", "All parts must lie in one folder.") from exc


def _copy(short: str, parts: list[Path], progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> tuple[StoredFile, ...]:
    """Copy files into the store and hash the copies; empty when cancelled. Raises ModelError when the disk is too full."""
    total, done, copied = sum(part.stat().st_size for part in parts), 0, []
    if (free := store.storage().free) < total:
        raise ModelError(f"{total:,} bytes are needed and {free:,} are free.", "Link the file instead of copying it.")
    staged = store.incoming_directory(short)
    with store.writing():
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        for part in parts:
            with part.open("rb") as source, (staged / part.name).open("wb") as target:
                while chunk := source.read(COPY_CHUNK):
                    target.write(chunk)
                    done += len(chunk)
                    progress(done, total)
                    if cancelled():
                        shutil.rmtree(staged, ignore_errors=True)
                        return ()
            copied.append(StoredFile(name=part.name, size=part.stat().st_size, sha256=store.sha256_of(staged / part.name)))
    return tuple(copied)


def by_name(name: str) -> Manifest:
    """Import a model of another program. Raises UnknownModel."""
    if found := find(name):
        return adopt(found)
    known = ", ".join(f"{each.source}:{each.title}" for each in elsewhere()[:5])
    raise UnknownModel(
        f"No other program has a model {name!r}.", f"Found: {known}." if known else "None of Ollama, LM Studio or the Hugging Face cache has any."
    )
