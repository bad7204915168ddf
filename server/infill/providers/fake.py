"""A scripted provider: exact streams, stalls, garbage and failures. For tests and demonstrations; no I/O."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from infill.ask import Delta, Event, Finish, Instruction, Prompt, Report
from infill.providers.base import Limits

Step = str | float | Event | asyncio.Event | Exception
"""Text of candidate 0 | seconds to wait | any event, unchanged | an event to wait for (never set: a stall) | an exception to raise."""
Script = Iterable[Step] | Callable[[Prompt | Instruction], Iterable[Step]]


class Fake:
    """Plays the same script for each request, or calls a function for a script. Records all requests."""

    def __init__(
        self,
        script: Script = (),
        *,
        name: str = "fake",
        limits: Limits | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.script = script
        self.name = name
        self.limits = limits or Limits(typical_ms=1.0)
        self.asked: list[Prompt | Instruction] = []
        self.warmed: list[Prompt] = []
        self.forgotten: list[str] = []
        self.stopped: list[Prompt | Instruction] = []
        """Requests whose answer was closed before its end."""
        self.closed = False
        self._sleep = sleep

    def complete(self, prompt: Prompt) -> AsyncIterator[Event]:
        return self._play(prompt, prompt.candidates)

    def follows_instructions(self, model: str) -> bool:
        """True, as for a chat model."""
        return True

    def generate(self, instruction: Instruction, model: str = "") -> AsyncIterator[Event]:
        return self._play(instruction, 1)

    async def warm(self, prompt: Prompt) -> None:
        self.warmed.append(prompt)

    async def forget(self, slot: str) -> None:
        self.forgotten.append(slot)

    async def aclose(self) -> None:
        self.closed = True

    async def _play(self, question: Prompt | Instruction, candidates: int) -> AsyncIterator[Event]:
        self.asked.append(question)
        unfinished, reported = set(range(candidates)), False
        try:
            for step in self.script(question) if callable(self.script) else self.script:
                event = await self._step(step)
                if isinstance(event, Finish):
                    unfinished.discard(event.candidate)
                reported = reported or isinstance(event, Report)
                if event:
                    yield event
            for candidate in sorted(unfinished):
                yield Finish(candidate)
            if not reported:
                yield Report(provider=self.name, model="fake")
        except (asyncio.CancelledError, GeneratorExit):
            self.stopped.append(question)
            raise

    async def _step(self, step: Step) -> Event | None:
        if isinstance(step, Exception):
            raise step
        if isinstance(step, asyncio.Event):
            await step.wait()
        elif isinstance(step, float):
            await self._sleep(step)
        else:
            return Delta(step) if isinstance(step, str) else step
        return None
