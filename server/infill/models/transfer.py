"""Downloads a model's files in a process of its own: `python -m infill.models.transfer`, driven by `download` over its pipes.

huggingface_hub talks to the hub and provides mirrors (HF_ENDPOINT), token, proxies, offline switch and retries. Its own file handling is not used:
since version 2 it restarts from zero after an interruption, and Xet cannot resume. This module resumes a partial file, named after its version:
the SHA-256 that the hub publishes, else revision and ETag. Content of two versions is never mixed; earlier bytes are hashed again before use.

A separate process can be stopped at any moment and keeps the hub's libraries out of language servers. It exits when its parent exits.
No file gets its final name before its SHA-256 is verified.
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import hashlib
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from infill import state
from infill.errors import ChecksumMismatch, DownloadFailed, InfillError
from infill.models import store
from infill.models.catalog import File

CHUNK = 256 * 1024
"""Bytes per chunk. The library's own 10 MB are lost whenever a connection breaks, and a progress bar stands still on a slow connection."""
PROGRESS_SECONDS = 0.1
SLICE = 40_000_000_000
"""Bytes per request: content networks, and so the library, refuse more than 50 GB in one response."""
WHOLE = ".whole"
SPLIT = re.compile(r"-\d{5}-of-(\d{5})\.gguf$")
LATER = "What has arrived is kept: the same command continues."


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to download, and to which folder."""

    repository: str
    files: tuple[File, ...]
    directory: str
    revision: str = ""
    attempts: int
    """Consecutive attempts without progress before giving up."""
    wait_seconds: float
    """Seconds before the second attempt; doubled each time."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one file, as the hub has it now."""

    name: str
    size: int
    sha256: str = ""
    """Empty where neither the hub nor the catalogue states it."""
    revision: str
    etag: str

    @property
    def version(self) -> str:
        """Part of the staged files' names, so that content of two versions is never mixed."""
        return (self.sha256 or hashlib.sha256(f"{self.revision}|{self.etag}|{self.size}".encode()).hexdigest())[:16]


class Found(msgspec.Struct, frozen=True, tag="found"):
    """What the hub has; sent before the transfer starts."""

    revision: str
    files: tuple[Wanted, ...]
    here: int
    """Bytes that an earlier download stored."""


class Step(msgspec.Struct, frozen=True, tag="step"):
    """The progress so far."""

    phase: str
    """`downloading` or `verifying`."""
    done: int
    total: int


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """All files are complete and have their final names."""

    hashes: tuple[str, ...]
    """SHA-256 of the downloaded files, in their order."""


class Trouble(msgspec.Struct, frozen=True, tag="trouble"):
    """The download failed."""

    error: str
    message: str
    hint: str


Event = Found | Step | Finished | Trouble


def bring(job: Job, tell: Callable[[Event], None], go: Callable[[], None]) -> None:
    """Download all files and report when they are complete. `go` returns when the transfer may start. Raises InfillError."""
    revision, files = resolve(job)
    directory = Path(job.directory)
    with store.writing():
        directory.mkdir(parents=True, exist_ok=True)
        _sweep(directory, files)
        tell(Found(revision, files, sum(_arrived(directory, file) for file in files)))
    go()
    total, before, hashes = sum(file.size for file in files), 0, []
    with store.writing():
        for file in files:
            hashes.append(_one(job, file, lambda phase, done, before=before: tell(Step(phase, before + done, total))))  # type: ignore[misc]
            before += file.size
        for file, digest in zip(files, hashes, strict=True):  # all of one version now: they are renamed together
            state.replace(_whole(directory, file, digest), directory / local_name(file))
    tell(Finished(tuple(hashes)))


def resolve(job: Job) -> tuple[str, tuple[Wanted, ...]]:
    """The commit and the files' exact names, sizes and hashes, as the hub has them now. Raises DownloadFailed or ChecksumMismatch."""
    files, revision, found = job.files, job.revision, []
    if any("*" in file.name for file in files):
        files = tuple(exact for file in files for exact in _by_pattern(job, file))
    for file in files:
        told = _told(job, file.name, revision)
        revision = revision or told.commit_hash or ""
        found.append(_as_promised(job, file, told))
    return revision, tuple(found)


def _told(job: Job, name: str, revision: str) -> Any:
    """The hub's metadata of a file: its size, ETag and commit."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(job.repository, name, revision=revision or None)
    return _persistently(job, lambda: get_hf_file_metadata(url), name)


def _as_promised(job: Job, file: File, told: Any) -> Wanted:
    if not told.etag or not told.size or not told.commit_hash:
        hint = "If HF_ENDPOINT is set, check that it names a mirror of the hub; else check your proxy and firewall."
        raise DownloadFailed(f"What answered for {job.repository} is no hub of models.", hint)
    digest = told.etag if re.fullmatch(r"[0-9a-f]{64}", told.etag) else ""
    if file.sha256 and digest and digest != file.sha256:
        hint = "It was replaced since; look at the repository before trusting it, or choose another model."
        raise ChecksumMismatch(f"The hub's {file.name} is not the file that the catalogue names (its SHA-256 differs).", hint)
    if file.size and told.size != file.size:
        raise ChecksumMismatch(f"The hub's {file.name} has {told.size:,} bytes, the catalogue says {file.size:,}.", "Choose another model.")
    return Wanted(name=file.name, size=told.size, sha256=file.sha256 or digest, revision=told.commit_hash, etag=told.etag)


def _by_pattern(job: Job, file: File) -> list[File]:
    """The files that match a pattern: a whole file rather than a split one, the shortest name rather than a variant."""
    from huggingface_hub import HfApi

    names = _persistently(
        job, lambda: [entry.path for entry in HfApi().list_repo_tree(job.repository, revision=job.revision or None, recursive=True)]
    )
    fitting = sorted((name for name in names if fnmatch.fnmatch(name.lower(), file.name.lower())), key=lambda name: (len(name), name))
    if whole := [name for name in fitting if not SPLIT.search(name)]:
        return [msgspec.structs.replace(file, name=whole[0])]
    if fitting:
        stem = SPLIT.sub("", fitting[0])
        return [File(name=name) for name in sorted(fitting) if SPLIT.sub("", name) == stem]
    others = [name for name in names if name.endswith(".gguf")][:6]
    raise DownloadFailed(f"{job.repository} has no file {file.name}.", f"It has {', '.join(others)}." if others else "It has no GGUF files at all.")


def _one(job: Job, file: Wanted, tell: Callable[[str, int], None]) -> str:
    """Download one file of one version: resume its part, or check an earlier complete file. Returns its SHA-256."""
    directory = Path(job.directory)
    if not (digest := _arrived_whole(directory, file, lambda done: tell("verifying", done))):
        part = _part(directory, file)
        _continue(job, file, part, lambda done: tell("downloading", done))
        digest = store.sha256_of(part, lambda done: tell("verifying", done))
        _must_be_right(job, file, part, digest)
        state.replace(part, _whole(directory, file, digest))
    tell("downloading", file.size)
    return digest


def _must_be_right(job: Job, file: Wanted, part: Path, digest: str) -> None:
    """Raises ChecksumMismatch and deletes the part where its content is not, or may not be, this version's."""
    if file.sha256:
        if digest == file.sha256:
            return
        message, hint = f"{file.name} arrived damaged (its SHA-256 is wrong) and was deleted.", "Try again; if it stays so, use another mirror."
    else:
        told = _told(job, file.name, file.revision)
        if (told.etag, told.size) == (file.etag, file.size):
            return
        message, hint = f"{file.name} was replaced on the hub while it was downloaded. What arrived was deleted.", "Try again."
    part.unlink()
    raise ChecksumMismatch(message, hint)


def _arrived_whole(directory: Path, file: Wanted, tell: Callable[[int], None]) -> str:
    """The SHA-256 of an earlier complete file if it still has its hash. Else empty, and the file is deleted."""
    for path in (directory / local_name(file), *directory.glob(f"{glob.escape(local_name(file))}.{file.version}.*{WHOLE}")):
        if not path.exists():
            continue
        digest = store.sha256_of(path, tell)
        if digest == file.sha256 or (not file.sha256 and path == _whole(directory, file, digest)):
            state.replace(path, _whole(directory, file, digest))
            return digest
        path.unlink()
    return ""


def _continue(job: Job, file: Wanted, part: Path, tell: Callable[[int], None]) -> None:
    """Append to the part until it is complete, over as many connections as needed while each makes progress."""
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    url = hf_hub_url(job.repository, file.name, revision=file.revision)
    size = file.size

    def attempt() -> None:
        with part.open("ab") as stream:
            while (start := stream.tell()) < size:
                end = min(size, start + SLICE)
                # uncompressed: a compressed response could not be resumed
                headers = {**build_hf_headers(), "Accept-Encoding": "identity", **({"Range": f"bytes=0-{end - 1}"} if size > SLICE else {})}
                with _thrown_away_if_refused(stream):
                    http_get(url, stream, resume_size=start, headers=headers, expected_size=end, tqdm_class=_bar(start, tell))
            os.fsync(stream.fileno())

    def progress() -> int:
        return part.stat().st_size if part.exists() else 0

    _persistently(job, attempt, file.name, progress)


@contextlib.contextmanager
def _thrown_away_if_refused(stream: Any) -> Iterator[None]:
    """Delete a part that the hub refuses to resume (416): it has other content, and the next attempt starts from zero."""
    try:
        yield
    except Exception as exc:
        if getattr(getattr(exc, "response", None), "status_code", 0) == 416:
            stream.truncate(0)
        raise


def _bar(start: int, tell: Callable[[int], None]) -> type:
    """A class that huggingface_hub uses as its progress bar."""

    class Bar:
        done = start
        said = 0.0

        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, count: int) -> None:
            Bar.done += count
            if time.monotonic() - Bar.said > PROGRESS_SECONDS:
                Bar.said = time.monotonic()
                tell(Bar.done)

    return Bar


def _persistently(job: Job, action: Callable[[], Any], name: str = "", progress: Callable[[], int] = lambda: 0) -> Any:
    """Retry after temporary failures, as long as attempts make progress. Raises InfillError with the next step."""
    failures, reached = 0, progress()
    while True:
        try:
            return action()
        except Exception as exc:  # noqa: PERF203 - a connection costs more
            if not _may_pass(exc):
                _give_up(job, exc, name)
            now = progress()
            failures, reached = (0 if now > reached else failures + 1), now
            if failures >= job.attempts:
                _give_up(job, exc, name)
            time.sleep(min(job.wait_seconds * 2**failures, 30.0) if failures else 0)


def _may_pass(exc: Exception) -> bool:
    status = getattr(getattr(exc, "response", None), "status_code", 0)
    if status:
        return status in (408, 429) or status >= 500
    if type(exc).__name__ in ("ProxyError", "OfflineModeIsEnabled", "UnsupportedProtocol", "InvalidURL") or "CERTIFICATE" in str(exc):
        return False
    return isinstance(exc, ConnectionError) or _is_network(exc) or "Consistency check failed" in str(exc)


def _is_network(exc: BaseException) -> bool:
    """Whether it is an error of httpx or its successors, whichever the installed hub library uses."""
    return any(kind.__name__ == "TransportError" for kind in type(exc).__mro__)


def _give_up(job: Job, exc: Exception, name: str) -> NoReturn:
    """Raise the error that fits, with its next step. Full disks and missing permissions are left to `store.writing`."""
    status = getattr(getattr(exc, "response", None), "status_code", 0)
    kinds = {kind.__name__ for kind in type(exc).__mro__}
    for (kind, code), (message, hint) in _sentences(job, name).items():
        if kind in kinds or (code and code == status):
            raise DownloadFailed(message, hint) from exc
    if "CERTIFICATE" in str(exc):
        hint = "Behind a company's proxy, name its certificates in SSL_CERT_FILE."
        raise DownloadFailed("The hub's certificate is not trusted here.", hint) from exc
    if status >= 500:
        raise DownloadFailed(f"The hub is in trouble (it answered {status}).", f"Try again later. {LATER}") from exc
    if status:
        raise DownloadFailed(f"The hub refused {job.repository} (it answered {status}).", "Try again later, or choose another model.") from exc
    if "Consistency check failed" in str(exc):
        raise DownloadFailed(f"The hub sent less of {name} than it promised.", f"Try again later. {LATER}") from exc
    if isinstance(exc, ConnectionError) or _is_network(exc):
        hint = f"Check the network, and the proxy (HTTPS_PROXY) if you need one. {LATER}"
        raise DownloadFailed("The connection to the hub failed.", hint) from exc
    if isinstance(exc, OSError) and exc.errno:
        raise exc
    raise DownloadFailed(f"The download failed: {exc}".split("\n", 1)[0], LATER) from exc


def _sentences(job: Job, name: str) -> dict[tuple[str, int], tuple[str, str]]:
    page = f"https://huggingface.co/{job.repository}"
    return {
        ("GatedRepoError", 403): (
            f"{job.repository} is given only to those who ask for it.",
            f"Ask for access at {page}, then set HF_TOKEN to your token (or run `hf auth login`) and repeat this.",
        ),
        ("RevisionNotFoundError", 0): (
            f"{job.repository} has no revision {job.revision[:12]} any more.",
            f"Choose another model, or take the newest: `infill models download {job.repository}:{name}`.",
        ),
        ("RepositoryNotFoundError", 401): (
            f"The hub has no repository {job.repository}, or it is private.",
            "Check the name; for a private one set HF_TOKEN (or run `hf auth login`).",
        ),
        ("EntryNotFoundError", 404): (f"{job.repository} has no file {name}.", f"Look at {page}/tree/main for what it has."),
        ("", 429): ("The hub asks to wait: too many requests from here.", f"Try again in some minutes, or set HF_TOKEN. {LATER}"),
        ("", 416): (f"The hub's {name} is shorter than what has arrived, which was thrown away.", "Try again."),
        ("OfflineModeIsEnabled", 0): ("Downloads are switched off (HF_HUB_OFFLINE is set).", "Unset it, or import a file: `infill models import`."),
        ("ProxyError", 0): ("The proxy refused the connection to the hub.", "Check HTTPS_PROXY and its password."),
        ("UnsupportedProtocol", 0): ("HF_ENDPOINT is no web address.", "It must begin with https://, or be unset."),
    }


def local_name(file: Wanted) -> str:
    """The file's name without the repository's folders: llama.cpp looks for parts in the same folder."""
    return Path(file.name).name


def _part(directory: Path, file: Wanted) -> Path:
    """The path of a partial file."""
    return directory / f"{local_name(file)}.{file.version}.part"


def _whole(directory: Path, file: Wanted, digest: str) -> Path:
    """The path of a complete file while others are still missing; the name contains its hash."""
    return directory / f"{local_name(file)}.{file.version}.{digest[:16]}{WHOLE}"


def _staged(directory: Path, file: Wanted) -> list[Path]:
    """All staged files of this version. The last one is from a transfer that was killed just before its end."""
    return [_part(directory, file), *directory.glob(f"{glob.escape(local_name(file))}.{file.version}.*{WHOLE}"), directory / local_name(file)]


def _arrived(directory: Path, file: Wanted) -> int:
    for path in _staged(directory, file):
        with contextlib.suppress(OSError):
            return path.stat().st_size
    return 0


def _sweep(directory: Path, files: tuple[Wanted, ...]) -> None:
    """Delete files of other versions and files of an impossible size."""
    sizes = {path: file.size for file in files for path in _staged(directory, file)}
    for path in directory.iterdir():
        size = path.stat().st_size
        if path not in sizes or size > sizes[path] or (path.suffix != ".part" and size != sizes[path]):
            path.unlink()


def main() -> int:
    """Read one job from standard input and write events to standard output, one a line. A second line of input starts the transfer."""
    out = os.dup(1)
    os.dup2(2, 1)
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    started = threading.Event()
    threading.Thread(target=_watch, args=(started,), daemon=True).start()

    def tell(event: Event) -> None:
        os.write(out, msgspec.json.encode(event) + b"\n")

    try:
        # another transfer that is still exiting may be writing to the same part
        with store.locked(f"{Path(job.directory).name}.transfer", wait_seconds=20):
            bring(job, tell, started.wait)  # type: ignore[arg-type]
    except InfillError as exc:
        tell(Trouble(type(exc).__name__, exc.message, exc.hint))
    return 0


def _watch(started: threading.Event) -> None:
    """Start the transfer at the first line. The end of input means that the parent process exited."""
    if sys.stdin.buffer.readline():
        started.set()
        sys.stdin.buffer.readline()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
