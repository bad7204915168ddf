"""Installs a model: finds it in the catalogue, checks the free space, runs `transfer`, and adds it to the store.

An incomplete model is never loaded, and partial files are kept: a cancelled, interrupted or killed download resumes.
Only the other process uses the network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from infill import environment, errors
from infill.errors import BadModelFile, DownloadFailed, InfillError, ModelError
from infill.models import catalog, child, gguf, importing, store
from infill.models.child import Child
from infill.models.fit import amount
from infill.models.store import Manifest, StoredFile
from infill.models.transfer import Event, Found, Job, Step, Trouble, local_name
from infill.privacy import network

SPARE = 256 * 1024 * 1024
"""Bytes that a download leaves free on the disk."""
POLL_SECONDS = 0.1
"""Interval of checks for cancellation."""
ATTEMPTS = 3
"""Consecutive connections without progress before a download fails (the hub's library retries within each)."""
WAIT_SECONDS = 0.5
"""Seconds before the second connection; doubled each time."""
SPEED_SECONDS = 5.0
"""Window over which speed is averaged."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a download."""

    phase: Literal["looking", "downloading", "verifying"]
    done: int = 0
    total: int = 0
    speed: float = 0.0
    """Bytes per second."""

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.done) / self.speed if self.speed > 0 else None

    @property
    def sentence(self) -> str:
        """For example: 0.4 of 1.6 GB, 12 MB/s, 1 min 40 s left."""
        if self.phase == "looking":
            return "asking the hub"
        if self.phase == "verifying":
            return f"checking {amount(self.total)}"
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        return f"{amount(self.done)} of {amount(self.total)}, {amount(self.speed)}/s{left}"


def fetch(
    name: str,
    progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    again: bool = False,
    offline: bool = False,
) -> Manifest | None:
    """Install a model: one of the catalogue, `owner/repository:file`, or another program's. None when cancelled; partial files are kept.

    Blocks: call it in a thread. `progress` is called on the calling thread. Raises UnknownModel, DownloadFailed, ChecksumMismatch,
    BadModelFile, or InfillError where the directory cannot be written.
    """
    if (known := store.installed_as(catalog.short(name))) and not again:
        return known
    if found := importing.find(name):
        return importing.adopt(found)
    entry = catalog.find(name)
    if (here := store.installed_as(entry.id)) and not again:
        return here
    if entry.path or not entry.repository:
        raise ModelError(f"{entry.title} is a file of your own ({entry.path}): there is nothing to download.", "")
    if network.is_offline(offline):
        raise DownloadFailed(
            "Downloads are switched off (privacy.offline, --offline or HF_HUB_OFFLINE).",
            "Allow them, or bring the file and use `infill models import`.",
        )
    with store.locked(entry.id):
        if again:
            _discard_staged(entry.id)
        return _transfer(entry, progress, cancelled)


def needs(entry: catalog.Entry) -> tuple[int, int]:
    """Bytes to download (0 if the catalogue has no size) and bytes free."""
    staged = store.incoming_directory(entry.id)
    here = sum(file.stat().st_size for file in staged.glob("*")) if staged.exists() else 0
    return max(0, entry.size - here), store.storage().free


def discard(name: str) -> int:
    """Delete the partial files of a model; returns their bytes."""
    short = catalog.short(name)
    with store.locked(short), store.writing():
        return _discard_staged(short)


def duration(seconds: float) -> str:
    """For example: 1 min 40 s."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _transfer(entry: catalog.Entry, progress: Callable[[Progress], None], cancelled: Callable[[], bool]) -> Manifest | None:
    staged = store.incoming_directory(entry.id)
    job = Job(
        repository=entry.repository or "",
        files=entry.files,
        directory=str(staged),
        revision=entry.revision or "",
        attempts=ATTEMPTS,
        wait_seconds=WAIT_SECONDS,
    )
    progress(Progress(phase="looking", total=entry.size))
    found, meter = None, _Meter()
    command = child.python("-m", "infill.models.transfer")
    # else the hub's library would tell the hub which programs are installed
    with child.running(command, more={"HF_HUB_DISABLE_TELEMETRY": "1", **environment.hub_tokens()}) as transfer:
        transfer.say(msgspec.json.encode(job))
        for event in _events(transfer, cancelled):
            if isinstance(event, Found):
                found = event
                _room_for(entry, event)
                transfer.say(b"go")
            elif isinstance(event, Step):
                progress(meter.read(event))
            elif isinstance(event, Trouble):
                raise _error(event)
            elif found is not None:
                return _install(entry, found, event.hashes, staged)
    return None


def _install(entry: catalog.Entry, found: Found, hashes: tuple[str, ...], staged: Path) -> Manifest:
    first = staged / local_name(found.files[0])
    try:
        facts = gguf.read(first)
    except BadModelFile:
        _discard_staged(entry.id)
        raise
    manifest = Manifest(
        id=entry.id,
        title=entry.title,
        source="hub",
        files=tuple(
            # where the hub has no hash, record that of the downloaded file, so that it can be verified later
            StoredFile(name=local_name(file), size=file.size, sha256=digest, own_hash=not file.sha256)
            for file, digest in zip(found.files, hashes, strict=True)
        ),
        repository=entry.repository or "",
        revision=found.revision,
        licence=entry.licence,
        commercial=entry.commercial,
        quantization=entry.quantization or facts.quantization,
        roles=entry.roles,
        fim_order=entry.fim_order,
        context=facts.context,
    )
    return store.install(manifest, staged)


def _room_for(entry: catalog.Entry, found: Found) -> None:
    """Raises DownloadFailed if the disk has too little free space."""
    missing, free = sum(file.size for file in found.files) - found.here, store.storage().free
    if free < missing + SPARE:
        hint = f"Free {amount(missing + SPARE - free)} more, choose a smaller model, or set INFILL_HOME to another disk."
        message = f"{entry.title} needs {amount(missing)} and {amount(free)} are free on the disk of {store.models_directory()}."
        raise DownloadFailed(message, hint)


def _discard_staged(short: str) -> int:
    staged, freed = store.incoming_directory(short), 0
    for file in staged.glob("*"):
        freed += file.stat().st_size
        file.unlink()
    return freed


def _error(trouble: Trouble) -> InfillError:
    return errors.BY_NAME.get(trouble.error, DownloadFailed)(trouble.message, trouble.hint)


class _Meter:
    """The smoothed speed of a download."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None
        self._speed = 0.0

    def read(self, step: Step) -> Progress:
        now = time.monotonic()
        if step.phase == "downloading":
            if self._last and (passed := now - self._last[0]) > 0 and step.done >= self._last[1]:
                current, weight = (step.done - self._last[1]) / passed, min(1.0, passed / SPEED_SECONDS)
                self._speed = current if not self._speed else self._speed + (current - self._speed) * weight
            self._last = now, step.done
        return Progress(phase="verifying" if step.phase == "verifying" else "downloading", done=step.done, total=step.total, speed=self._speed)


def _events(transfer: Child, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """The events of the transfer until it is complete or cancelled. Raises DownloadFailed if it exits without a result."""
    while not cancelled():
        line = transfer.line(POLL_SECONDS)
        if line:
            try:
                yield msgspec.json.decode(line, type=Event)
            except (msgspec.MsgspecError, ValueError) as exc:
                raise DownloadFailed("The download ended unexpectedly.", "Try again: what has arrived is kept.") from exc
        elif line is not None:
            raise DownloadFailed("The download ended unexpectedly.", "Try again: what has arrived is kept.")
