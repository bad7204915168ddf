"""Plays a trace to an editor with the author's timing, and records the events.

The typist never waits for an editor: keys are typed at their times. After accepting a suggestion it pauses briefly, deletes the text that differs
from the author's, and continues after the right part.
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
"""Milliseconds of pause after an acceptance: long enough for the next suggestion to appear."""
SETTLE_MS = 1500.0
"""Milliseconds between opening a file and the first key."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Memory and work of one side's processes for a whole trace."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    resident_bytes: int = 0
    processes: dict[str, int] = {}
    """Resident bytes by process."""
    tokens_evaluated: int = 0
    """Prompt tokens since the file was opened, as counted by the engine or llama-server, including cancelled requests and background work."""
    tokens_generated: int = 0
    """Generated tokens, counted in the same way."""


class Editor(Protocol):
    """An editor with completions; it informs the recorder when ghost text appears."""

    name: str

    @property
    def ghost(self) -> str:
        """The suggestion that can be accepted now; empty if there is none."""
        ...

    async def open(self, document: Document) -> None:
        """Show a document; returns when it can be edited."""
        ...

    async def edited(self, document: Document, change: Change) -> None:
        """Called after a key changed the document and the cursor is after the change. Must not wait for an answer."""
        ...

    async def moved(self, document: Document) -> None:
        """Called after only the cursor moved."""
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
        """The text that the author types next; empty after a slip."""
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
        """Accept the suggestion, pause, and delete its wrong part; returns the index of the next edit."""
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
        """Number of right characters, rounded down to whole keys of the trace: a newline includes its indentation."""
        done = self._written[self._hole]
        borders = {edit.done for edit in self.trace.edits if edit.hole == self._hole}
        return max((border for border in borders if done <= border <= done + right), default=done) - done

    def _after(self, index: int, done: int) -> int:
        """The index of the next edit after this many characters of the hole."""
        found = index + 1
        before = self.trace.edits[index]
        for at in range(index + 1, len(self.trace.edits) + 1):
            if before.hole == self._hole and before.done == done and not before.slip:
                found = at
            if at == len(self.trace.edits) or self.trace.edits[at].hole != self._hole:
                break
            before = self.trace.edits[at]
        return found
