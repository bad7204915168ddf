"""Plays a trace: does what the author did, when the author did it, to whichever editor it is given, and lets the recorder know.

The typist never waits for an editor: keys fall when they are due. A suggestion that is accepted is looked at for a moment; then what is not the
author's own text is taken out again, and the author goes on behind what was right.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from infill.bench.document import Change, Document
from infill.bench.recorder import Recorder, agreement
from infill.bench.trace import Edit, Trace

LOOK_MS = 900.0
"""How long an accepted suggestion is looked at: long enough for the next one to appear."""
SETTLE_MS = 1500.0
"""After opening a file, before the first key."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What the processes of one side needed for a whole trace."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    resident_bytes: int = 0
    processes: dict[str, int] = {}
    """Resident bytes by process."""
    tokens_evaluated: int = 0
    """Prompt tokens since the file was opened, as the engine or llama-server counts them: also for what was overtaken, or nobody waited for."""
    tokens_generated: int = 0
    """The same of what was written."""


class Editor(Protocol):
    """An editor with a completion engine behind it; it tells the recorder when ghost text appears."""

    name: str

    @property
    def ghost(self) -> str:
        """The suggestion that can be accepted now; empty: none."""
        ...

    async def open(self, document: Document) -> None:
        """Show a document; returns when it can be edited."""
        ...

    async def edited(self, document: Document, change: Change) -> None:
        """A key changed the document, and the cursor stands behind the change. Must not wait for an answer."""
        ...

    async def moved(self, document: Document) -> None:
        """The cursor moved, nothing else."""
        ...

    async def accept(self, document: Document) -> None:
        """Insert the ghost text at the cursor."""
        ...

    async def close(self) -> Costs:
        """Stop everything that was started, also after a failure."""
        ...


class Typist:
    """One author at one editor."""

    def __init__(
        self,
        trace: Trace,
        editor: Editor,
        recorder: Recorder,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.trace, self.editor, self.recorder, self._sleep, self._clock = trace, editor, recorder, sleep, clock
        self.document = Document(trace.name, trace.language, trace.text)
        self._written = [0] * len(trace.holes)
        self._hole = trace.edits[0].hole if trace.edits else 0
        self._slip = False
        recorder.upcoming = self.upcoming

    def upcoming(self) -> str:
        """What the author types next; nothing while a slip stands."""
        return "" if self._slip else self.trace.holes[self._hole].text[self._written[self._hole] :]

    async def play(self) -> None:
        await self.editor.open(self.document)
        await self._sleep(SETTLE_MS / 1000)
        due = self._clock()
        index = 0
        while index < len(self.trace.edits):
            edit = self.trace.edits[index]
            due = max(due + edit.wait / 1000, self._clock() - 0.02)
            await self._sleep(max(0.0, due - self._clock()))
            index = await self._accept(index) if edit.kind == "accept" else await self._do(index, edit)
        await self._sleep(LOOK_MS / 1000)

    async def _do(self, index: int, edit: Edit) -> int:
        if edit.kind == "jump":
            self._hole, self._slip = edit.hole, False
            self.document.cursor = self._place(edit.hole)
            self.recorder.note("jump")
            await self.editor.moved(self.document)
            return index + 1
        change = self.document.type(edit.text) if edit.kind == "type" else self.document.delete(edit.count)
        self._written[self._hole], self._slip = edit.done, edit.slip
        self.recorder.note("key", edit.text or f"-{edit.count}")
        await self.editor.edited(self.document, change)
        return index + 1

    def _place(self, hole: int) -> int:
        before = sum(self._written[other] for other, it in enumerate(self.trace.holes) if it.offset < self.trace.holes[hole].offset)
        return self.trace.holes[hole].offset + before + self._written[hole]

    async def _accept(self, index: int) -> int:
        """Take what is shown, look at it, keep what is right of it; returns where the trace goes on."""
        if not self.editor.ghost:
            return index + 1
        inserted, at = self.editor.ghost, self.document.cursor
        right = self._whole_keys(agreement(inserted, self.upcoming()))
        self.recorder.note("accepted", inserted, worth=right)
        self._written[self._hole] += right
        self._slip = right < len(inserted)
        await self.editor.accept(self.document)
        await self._sleep(LOOK_MS / 1000)
        if self._slip:
            wrong = len(inserted) - right
            self._slip = False
            self.document.cursor = at + len(inserted)
            change = self.document.delete(wrong)
            self.recorder.note("undone", f"-{wrong}")
            await self.editor.edited(self.document, change)
        return self._after(index, self._written[self._hole])

    def _whole_keys(self, right: int) -> int:
        """Not more than what whole keys of the trace bring: a newline comes with its indentation."""
        done = self._written[self._hole]
        borders = {edit.done for edit in self.trace.edits if edit.hole == self._hole}
        return max((border for border in borders if done <= border <= done + right), default=done) - done

    def _after(self, index: int, done: int) -> int:
        """The edit with which to go on when that much of the hole stands."""
        found = index + 1
        before = self.trace.edits[index]
        for at in range(index + 1, len(self.trace.edits) + 1):
            if before.hole == self._hole and before.done == done and not before.slip:
                found = at
            if at == len(self.trace.edits) or self.trace.edits[at].hole != self._hole:
                break
            before = self.trace.edits[at]
        return found
