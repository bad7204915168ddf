"""The provider `local`: the model in the engine process on this machine.

Connects at first use. Starts the engine if none is running, and restarts it after a crash, with a growing delay. Never loads a model or blocks.
A crash is reported once: as `EngineCrashed` to a waiting request, else through `on_changed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import statistics
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from infill.ask import Delta, Event, Instruction, Prompt, Report, Rewriting, Snippet
from infill.engine import launch
from infill.engine.client import EngineClient
from infill.engine.protocol import LONGEST_NAME, Changed, Complete, Done, Generate, Rewrite, Status, Text, Warm
from infill.errors import ComputationCrashed, EngineCrashed, InfillError, ModelError, ProviderError, ProviderUnavailable
from infill.privacy.text import clean
from infill.providers.base import Limits
from infill.settings import Settings

BACK_OFF = (0.0, 0.0, 0.5, 1.0, 4.0, 15.0, 60.0)
"""Seconds from a crash to the next start, indexed by the number of crashes in the last MEMORY seconds. The first has no delay."""
MEMORY = 300.0
SHORT = 1.0
"""Longest back-off in seconds that a request waits for; with a longer one it is refused."""
UNHEARD = 0.1
"""Seconds. A request sent this shortly before the engine's exit was detected, and without any reply, is sent again."""
SURROGATES = re.compile("[\ud800-\udfff]")

OnChanged = Callable[[Changed], None]
Answer = TypeVar("Answer")


class LocalProvider:
    """Completions and generations from the engine; implements `Provider` and `Generator`."""

    name = "local"

    def __init__(self, settings: Settings, model: Callable[[], str], on_changed: OnChanged | None = None, client: str = "infill") -> None:
        self._settings = settings
        self._model = model
        self._on_changed = on_changed
        self._name = f"{client} (pid {os.getpid()})"
        self._client: EngineClient | None = None
        self._attempts: dict[bool, asyncio.Task[EngineClient | None]] = {}
        """The latest connection attempts, by whether they may start the engine."""
        self._one_attempt = asyncio.Lock()
        self._crashes: deque[float] = deque(maxlen=len(BACK_OFF) - 1)
        self._limits = Limits()
        self._ready = True
        self._first_lines: deque[float] = deque(maxlen=21)

    # ---- Provider

    @property
    def limits(self) -> Limits:
        typical = statistics.median(self._first_lines) if self._first_lines else 0.0
        return replace(self._limits, typical_ms=typical, ready=self._ready)

    async def complete(self, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Fill in the middle."""
        ask = Complete(
            id=0,
            model=prompt.model or self._model(),
            slot=_slot(prompt.slot),
            prefix=_clean(prompt.prefix),
            suffix=_clean(prompt.suffix),
            path=_clean(prompt.path),
            snippets=_clean_snippets(prompt.snippets),
            candidates=prompt.candidates,
            sampling=prompt.sampling,
            stop=prompt.stop,
            priority=prompt.priority,
            yield_after_line=prompt.yield_after_line,
            speculate=self._settings.engine.speculate,
        )
        asked, first_line = time.monotonic(), prompt.priority == "background"
        async with contextlib.aclosing(self._frames(ask)) as frames:
            async for frame in frames:
                if not first_line and (isinstance(frame, Done) or "\n" in frame.text):
                    first_line = True
                    self._first_lines.append((time.monotonic() - asked) * 1000)
                for event in self._events(frame):
                    yield event

    async def warm(self, prompt: Prompt) -> None:
        """Process a prompt ahead of time. Never starts the engine: a new engine has no cache."""
        client = self._client
        if client is None or client.ended is not None or not self._settings.engine.warm:
            return
        ask = Warm(
            id=0,
            model=self._model(),
            slot=_slot(prompt.slot),
            prefix=_clean(prompt.prefix),
            suffix=_clean(prompt.suffix),
            path=_clean(prompt.path),
            snippets=_clean_snippets(prompt.snippets),  # snippets are at the start of the prompt: without them it would be a different prompt
        )
        with contextlib.suppress(InfillError):  # errors are reported with the next completion
            self._learn(await client.warm(ask))

    async def forget(self, slot: str) -> None:
        """Note that the document was closed."""
        if self._client is not None and self._client.ended is None:
            self._client.forget(_slot(slot))

    async def aclose(self) -> None:
        """Disconnect from the engine; this client's requests end."""
        for attempt in self._attempts.values():
            attempt.cancel()
        await asyncio.gather(*self._attempts.values(), return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            client.on_end = None
            await client.aclose()

    # ---- Generator

    def follows_instructions(self, model: str) -> bool:
        """Whether the stored model has a chat template; False if unknown."""
        from infill.models import store

        try:
            return "generate" in store.find(model if model.startswith("local:") else self._model()).roles
        except ModelError:
            return False

    async def generate(self, instruction: Instruction, model: str = "") -> AsyncIterator[Event]:
        """Answer an instruction."""
        messages = tuple(replace(message, content=_clean(message.content)) for message in instruction.messages)
        ask = Generate(
            id=0,
            model=model or self._model(),
            slot=_slot(instruction.slot),
            messages=messages,
            sampling=instruction.sampling,
            stop=instruction.stop,
            speculate=self._settings.engine.speculate,
            thinking=instruction.thinking,
        )
        async with contextlib.aclosing(self._frames(ask)) as frames:
            async for frame in frames:
                for event in self._events(frame):
                    yield event

    async def rewrite(self, rewriting: Rewriting) -> AsyncIterator[Event]:
        """Answer a prompt in a model's own format, at a lower priority than every completion."""
        ask = Rewrite(
            id=0,
            model=rewriting.model,
            slot=_slot(rewriting.slot),
            pieces=tuple(replace(piece, text=_clean(piece.text)) for piece in rewriting.pieces),
            sampling=rewriting.sampling,
            stop=rewriting.stop,
            speculate=self._settings.engine.speculate,
        )
        async with contextlib.aclosing(self._frames(ask)) as frames:
            async for frame in frames:
                for event in self._told(frame):
                    yield event

    # ---- managing the engine

    def configure(self, settings: Settings) -> None:
        """Apply changed settings."""
        changed = (settings.engine, settings.latency) != (self._settings.engine, self._settings.latency)
        self._settings = settings
        if changed and self._client is not None and self._client.ended is None:
            self._client.configure(settings.engine, settings.latency.target)

    async def load(self, model: str = "") -> None:
        """Load a model, and start the engine for it if necessary. Returns after its first token; the old model answers until then."""
        client = await self._connected()
        await client.load(model or self._model())
        self._first_lines.clear()

    async def unload(self, model: str = "") -> None:
        """Unload a model, or every model. Never starts the engine."""
        await self._if_there(lambda client: client.unload(model))

    async def status(self, *, models: bool = True) -> Status | None:
        """The engine's status, without its models (which may take time) if `models` is False; None if no engine is running."""
        return await self._if_there(lambda client: client.status(models=models))

    async def shutdown(self) -> bool:
        """Stop the engine; False if none is running."""
        return await self._if_there(EngineClient.shutdown) is not None

    # ---- the connection

    async def _frames(self, ask: Complete | Generate | Rewrite) -> AsyncGenerator[Text | Done, None]:
        """The frames of an answer. The request is sent again once if the engine exited before it can have read it, or crashed while computing.

        In the second case the new engine avoids the cause of the crash.
        """
        for last_try in (False, True):
            client = await self._connected()
            heard, sent = False, time.monotonic()
            try:
                async with contextlib.aclosing(_stream(client, ask)) as frames:
                    async for frame in frames:
                        heard = True
                        yield frame
            except ProviderError as exc:
                unheard = client.ended is not None and not heard and (client.ended_at - sent < UNHEARD or not isinstance(exc, EngineCrashed))
                avoided = isinstance(exc, ComputationCrashed) and client.ended is not None and not heard
                left = ask.stop.deadline_ms - int((time.monotonic() - sent) * 1000)
                if last_try or not (unheard or avoided) or left <= 0:
                    raise
                ask = replace(ask, stop=replace(ask.stop, deadline_ms=left))
            else:
                return

    async def _connected(self) -> EngineClient:
        """The connection; it is opened if necessary. Raises ProviderUnavailable during the back-off after a crash."""
        client = await self._found(start=True)
        assert client is not None  # an attempt that may start the engine raises if it fails
        return client

    async def _found(self, *, start: bool = False) -> EngineClient | None:
        """The open connection, or the result of one connection attempt. All callers share it, and it outlives their cancellation.

        So an engine that does not answer the handshake is stopped at the timeout, even if newer requests keep replacing the waiting one.
        """
        if self._client is not None and self._client.ended is None:
            return self._client
        attempt = self._attempts.get(start)
        if attempt is None or attempt.done():
            attempt = self._attempts[start] = asyncio.create_task(self._attempt(start))
            attempt.add_done_callback(_look_at)
        return await asyncio.shield(attempt)

    async def _attempt(self, start: bool) -> EngineClient | None:
        async with self._one_attempt:
            if self._client is not None and self._client.ended is None:
                return self._client
            if not start:
                found = await launch.connect(self._name, self._changed)
                return self._adopt(found) if found is not None else None
            await self._back_off()
            try:
                client = await launch.connect_or_start(self._name, self._changed)
            except EngineCrashed:
                self._crashes.append(time.monotonic())
                raise
            return self._adopt(client)

    async def _back_off(self) -> None:
        """Delay the next start after repeated crashes."""
        now = time.monotonic()
        recent = [crash for crash in self._crashes if crash > now - MEMORY]
        left = max(recent, default=now) + BACK_OFF[len(recent)] - now
        if left > SHORT:
            message = f"The engine has crashed {len(recent)} times; it is started again in {left:.0f} s."
            raise ProviderUnavailable(message, "`infill engine status` shows its last lines.")
        await asyncio.sleep(max(0.0, left))

    def _adopt(self, client: EngineClient) -> EngineClient:
        self._client = client
        client.on_end = self._ended
        client.configure(self._settings.engine, self._settings.latency.target)
        return client

    def _changed(self, changed: Changed) -> None:
        self._ready = changed.state != "loading"
        if self._on_changed is not None:
            self._on_changed(changed)

    def _ended(self, reason: InfillError) -> None:
        """Handle the exit of the engine; a crash is reported even if no request is waiting."""
        self._ready = True
        if crashed := isinstance(reason, EngineCrashed):
            self._crashes.append(time.monotonic())
        if self._on_changed is not None:
            self._on_changed(Changed(state="problem" if crashed else "idle", message=str(reason)))

    async def _if_there(self, ask: Callable[[EngineClient], Awaitable[Answer]]) -> Answer | None:
        """The reply of a running engine; None if none is running or it is stopping."""
        client = await self._found()
        if client is None:
            return None
        try:
            return await ask(client)
        except ProviderError:
            if client.ended is None:
                raise
            return None

    def _events(self, frame: Text | Done) -> list[Event]:
        if isinstance(frame, Done):
            self._learn(frame)
        return self._told(frame)

    def _told(self, frame: Text | Done) -> list[Event]:
        """The frame as events. Limits are not updated from it: those of a next-edit model differ from those of completions."""
        if isinstance(frame, Text):
            return [Delta(clean(frame.text), frame.candidate, frame.logprob)]
        return [*frame.finishes, Report(provider=self.name, model=frame.model, timings=frame.timings, notes=frame.notes)]

    def _learn(self, done: Done) -> None:
        """Update the limits from the engine's report, which has the exact sizes."""
        known = msgspec.structs.asdict(self._limits)
        self._limits = replace(self._limits, **{name: type(known[name])(value) for name, value in done.limits.items() if name in known})


def _stream(client: EngineClient, ask: Complete | Generate | Rewrite) -> AsyncGenerator[Text | Done, None]:
    if isinstance(ask, Rewrite):
        return client.rewrite(ask)
    return client.complete(ask) if isinstance(ask, Complete) else client.generate(ask)


def _look_at(attempt: asyncio.Task[EngineClient | None]) -> None:
    """Retrieve the exception of an attempt without callers, which asyncio would log."""
    if not attempt.cancelled():
        attempt.exception()


def _clean_snippets(snippets: tuple[Snippet, ...]) -> tuple[Snippet, ...]:
    return tuple(replace(snippet, path=_clean(snippet.path), text=_clean(snippet.text)) for snippet in snippets)


def _slot(name: str) -> str:
    """The document's name as a slot name for the engine; long names are shortened to a prefix and a digest."""
    name = _clean(name)
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return name[: LONGEST_NAME - len(digest)] + digest


def _clean(text: str) -> str:
    """The text with unpaired surrogates, which cannot be encoded, replaced by a replacement character of the same length."""
    return SURROGATES.sub("\ufffd", text)
