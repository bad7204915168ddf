"""Stores evaluated documents on disk, so that they are warm after an engine restart. Off by default: the files contain the user's code.

One file per slot, readable by its owner only. Their total size is limited; the oldest are deleted first. Files of another model or another
llama.cpp, and damaged ones, are ignored. No function in this module raises.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from infill import paths, state
from infill.engine.llama import VERSION, Context
from infill.engine.slots import Slot, Slots
from infill.errors import InfillError
from infill.models.store import ModelFile
from infill.state import write_atomically

MOST_BYTES = 512 * 1024 * 1024
"""Size of all files together, of all models."""
TICK = 1_000_000
"""Nanoseconds by which the files of two slots differ in age."""
FEWEST_TOKENS = 128
"""A smaller slot is evaluated as fast as its file is read."""

log = logging.getLogger(__name__)


class Saved(msgspec.Struct, frozen=True):
    """The file of one slot."""

    made_for: str
    slot: str
    tokens: list[int]
    exact: int
    moved: int
    cells: bytes
    checksum: bytes = b""
    """Checksum of all other fields."""

    def digest(self) -> bytes:
        words = msgspec.msgpack.encode((self.made_for, self.slot, self.tokens, self.exact, self.moved))
        return hashlib.sha256(hashlib.sha256(words).digest() + hashlib.sha256(self.cells).digest()).digest()


def save(folder: Path, model: ModelFile, context: Context, slots: Slots) -> None:
    """Replace the model's files by the current slots, most recently used first, as many as the limit allows."""
    own, now, room = _own(folder, model), time.time_ns(), MOST_BYTES
    try:
        paths.private_directory(own)
        for old in own.glob("*.slot"):
            old.unlink(missing_ok=True)
        for age, slot in enumerate(sorted(slots, key=lambda slot: -slot.used)):
            if len(slot.tokens) < FEWEST_TOKENS or context.shift_pending:
                continue
            content = _content(model, context, slot)
            if (room := room - len(content)) < 0:
                break
            _make_room(folder, len(content))
            file = own / f"{hashlib.sha256(slot.name.encode('utf-8', 'replace')).hexdigest()[:24]}.slot"
            write_atomically(file, content)
            os.utime(file, ns=(now - age * TICK, now - age * TICK))  # the file used last gets the newest time
    except (OSError, InfillError) as exc:
        log.info("What was evaluated could not be saved: %s", exc)


def restore(folder: Path, model: ModelFile, context: Context, slots: Slots) -> None:
    """Fill empty slots from the folder's files, the oldest first. They count as closed documents, so that they can be replaced."""
    for saved in _readable(_own(folder, model), _made_for(model)):
        owner = object()
        slot = slots.take(saved.slot, owner)
        try:
            _fill(slot, saved, context, slots)
        except Exception as exc:
            log.info("A saved slot cannot be used: %s", type(exc).__name__)
            context.remove(slot.sequence)
            slot.tokens, slot.exact, slot.moved = [], 0, 0
        slots.give(slot, owner)
        slots.forget(saved.slot)


def _fill(slot: Slot, saved: Saved, context: Context, slots: Slots) -> None:
    slots.make_room(len(saved.tokens), slot)
    if slot.tokens or not context.restore(slot.sequence, bytearray(saved.cells)):
        return
    if context.length(slot.sequence) != len(saved.tokens):
        context.remove(slot.sequence)
        return
    slot.tokens, slot.exact, slot.moved = list(saved.tokens), saved.exact, saved.moved


def _content(model: ModelFile, context: Context, slot: Slot) -> bytes:
    saved = Saved(_made_for(model), slot.name, slot.tokens, slot.exact, slot.moved, bytes(context.save(slot.sequence)))
    return msgspec.msgpack.encode(msgspec.structs.replace(saved, checksum=saved.digest()))


def _make_room(folder: Path, size: int) -> None:
    """Delete the files used longest ago, of all models, until a file of this size fits."""
    files = [(file.stat().st_mtime_ns, file.stat().st_size, file) for file in folder.glob("*/*.slot")]
    room = MOST_BYTES - size
    for _, bytes_, file in sorted(files, reverse=True):
        if (room := room - bytes_) < 0:
            file.unlink(missing_ok=True)


def _readable(folder: Path, made_for: str) -> Iterator[Saved]:
    with contextlib.suppress(OSError):
        for file in sorted(folder.glob("*.slot"), key=lambda file: file.stat().st_mtime):
            saved = state.read(file, Saved, largest=MOST_BYTES, decode=msgspec.msgpack.decode)
            if saved is not None and made_for and saved.made_for == made_for and saved.digest() == saved.checksum:
                yield saved


def _own(folder: Path, model: ModelFile) -> Path:
    return folder / hashlib.sha256(model.id.encode()).hexdigest()[:16]


def _made_for(model: ModelFile) -> str:
    """What must be equal for the cells to be valid: the weights and the library that wrote them."""
    try:
        status = model.path.stat()
    except OSError:  # deleted since it was loaded: its cells will never be valid again
        return ""
    return f"{VERSION} {model.id} {status.st_size} {status.st_mtime_ns}"
