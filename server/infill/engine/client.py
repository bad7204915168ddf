"""The language server's side of the engine protocol: sends requests, streams responses, cancels. Every request ends, also if the engine crashes
or hangs.

This module starts no process and accesses no files. `launch` does that, and passes in a `Process` for actions on the process. Cancelling the task
that reads a response, or closing its iterator, stops the work in the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from infill import errors
from infill.engine import handshake, protocol
from infill.engine.protocol import (
    AskStatus,
    Cancel,
    Challenge,
    Changed,
    Complete,
    Configure,
    Done,
    Failed,
    Farewell,
    Forget,
    Frame,
    FromEngine,
    Generate,
    Hello,
    Load,
    Prove,
    Rewrite,
    Shutdown,
    Status,
    Text,
    Unload,
    Warm,
    Welcome,
)
from infill.engine.transport import BadFrame, Connection
from infill.errors import InfillError, ProviderUnavailable, RequestError
from infill.settings import Engine, Latency

HANDSHAKE = 5.0
"""Seconds for the engine's response to the handshake."""
SILENCE = 0.5
"""Seconds without a message, during a request, before the engine is pinged. Its event loop can answer at any time."""
UNANSWERED = 1.0
"""Seconds without an answer to the ping before completions and prefetches end with an error."""
HUNG = 8.0
"""Seconds without an answer before the engine counts as hung. Until then the machine may be short of memory."""
LATE = 5.0
"""Seconds past a request's own deadline before the client ends it. The engine normally ends it much sooner."""
STATUS = 15.0
WARMING = 300.0
UNLOADING = 60.0
LOADING = 1200.0
"""Total seconds for these requests. The engine has shorter deadlines for each part; this one applies if those fail."""

log = logging.getLogger(__name__)
Ask = TypeVar("Ask", Complete, Warm, Generate, Rewrite, Load, Unload, AskStatus, Shutdown)
OnChanged = Callable[[Changed], None]


class Process(Protocol):
    """What this module needs of the engine's process."""

    def obituary(self) -> errors.EngineCrashed:
        """Why it exited."""
        ...

    def kill(self, pid: int) -> None:
        """Kill it because it does not respond."""
        ...


class EngineClient:
    """A connection to the engine."""

    def __init__(self, connection: Connection[FromEngine], process: Process, on_changed: OnChanged | None = None) -> None:
        self._connection = connection
        self._process = process
        self._on_changed = on_changed
        self._ids = itertools.count(1)
        self._inboxes: dict[int, asyncio.Queue[Any]] = {}
        self._brief: set[int] = set()
        """Ids of requests that are useless when late: completions and prefetches."""
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None
        self.pid = 0
        self.ended: InfillError | None = None
        """Why the connection can no longer be used; None while it can."""
        self.ended_at = 0.0
        """Time of that, in seconds of the monotonic clock."""
        self.on_end: Callable[[InfillError], None] | None = None

    async def greet(self, name: str, token: str) -> None:
        """Do the handshake, with proofs if there is a token.

        Raises ProviderUnavailable if the engine refuses, asyncio.TimeoutError if it does not respond, OSError if the peer is no engine or is exiting.
        """
        try:
            answer = await asyncio.wait_for(self._answer_to_hello(name, token), HANDSHAKE)
        except BadFrame as exc:
            raise ConnectionError("what answers in the engine's place does not speak its language") from exc
        if isinstance(answer, Failed):
            raise _error(answer)
        if not isinstance(answer, Welcome):
            raise ConnectionError("the engine is exiting")
        self.pid = answer.pid
        self._reading = self._loop.create_task(self._read())

    async def _answer_to_hello(self, name: str, token: str) -> FromEngine | None:
        nonce = handshake.nonce() if token else ""
        self._connection.send(Hello(version=protocol.VERSION, client=name, nonce=nonce))
        if token:
            challenge = await self._connection.receive()
            # no message of a peer without a valid proof is trusted, not even a refusal
            if not isinstance(challenge, Challenge) or not handshake.proves(challenge.proof, token, "engine", nonce, challenge.nonce):
                raise ConnectionError("what listens on the engine's port does not know its secret")
            self._connection.send(Prove(proof=handshake.proof(token, "client", nonce, challenge.nonce)))
        return await self._connection.receive()

    async def aclose(self) -> None:
        """Close the connection; the engine cancels its requests."""
        self._end(ProviderUnavailable("The connection to the engine was closed."))
        if self._reading is not None:
            self._reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reading
        await self._connection.aclose()

    # ---- requests

    def complete(self, ask: Complete) -> AsyncGenerator[Text | Done, None]:
        """Fill in the middle. Sets the request's id. Raises ModelError or ProviderError."""
        return self._stream(ask, ask.stop.deadline_ms / 1000 + LATE)

    def generate(self, ask: Generate) -> AsyncGenerator[Text | Done, None]:
        """Answer a conversation."""
        return self._stream(ask, ask.stop.deadline_ms / 1000 + LATE)

    def rewrite(self, ask: Rewrite) -> AsyncGenerator[Text | Done, None]:
        """Answer a prompt in the model's own format."""
        return self._stream(ask, ask.stop.deadline_ms / 1000 + LATE)

    async def warm(self, ask: Warm) -> Done:
        """Evaluate a prompt in advance; returns when that is done or was dropped for a more urgent request."""
        return await self._done(ask, WARMING)

    async def load(self, model: str) -> Done:
        """Load a model; returns once it has produced one token. Raises ModelError, and then the previous state is restored."""
        return await self._done(Load(id=0, model=model), LOADING)

    async def unload(self, model: str = "") -> Done:
        """Unload a model, or all models."""
        return await self._done(Unload(id=0, model=model), UNLOADING)

    async def shutdown(self) -> Done:
        """Make the engine exit."""
        return await self._done(Shutdown(id=0), UNLOADING)

    async def status(self, *, models: bool = True) -> Status:
        """The engine's status. Without its models the response is immediate, even during a computation."""
        number, inbox, alarm = self._open(STATUS)
        try:
            self._send(AskStatus(id=number, models=models))
            while not isinstance(frame := await self._next(inbox), Status):
                pass
            return frame
        finally:
            alarm.cancel()
            self._inboxes.pop(number, None)

    def forget(self, slot: str) -> None:
        """Report that a document was closed."""
        self._send(Forget(slot=slot))

    def configure(self, engine: Engine, latency_target: int = Latency().target) -> None:
        """Send this client's settings for the engine."""
        self._send(Configure(options=msgspec.to_builtins(engine), latency_target=latency_target))

    # ---- internals

    async def _stream(self, ask: Any, seconds: float) -> AsyncGenerator[Text | Done, None]:
        """Yield the response's frames; `seconds` is the limit for all of it."""
        number, inbox, alarm = self._open(seconds)
        if isinstance(ask, Complete | Warm):
            self._brief.add(number)
        try:
            self._send(replace(ask, id=number))
            while True:
                frame = await self._next(inbox)
                if isinstance(frame, Done):
                    self._inboxes.pop(number, None)
                yield frame
                if isinstance(frame, Done):
                    return
        finally:
            alarm.cancel()
            self._brief.discard(number)
            if self._inboxes.pop(number, None) is not None:
                self._send_if_open(Cancel(id=number))

    async def _done(self, ask: Any, seconds: float) -> Done:
        async with contextlib.aclosing(self._stream(ask, seconds)) as frames:
            async for frame in frames:
                if isinstance(frame, Done):
                    return frame
        raise ProviderUnavailable("The engine gave no answer.")

    def _open(self, seconds: float) -> tuple[int, asyncio.Queue[Any], asyncio.TimerHandle]:
        """A new request's id, the queue for its responses, and the timer for its deadline."""
        if self.ended is not None:
            raise self.ended
        number = next(self._ids)
        inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._inboxes[number] = inbox
        if self._watch is None:
            self._heard = self._loop.time()
            self._watch = self._loop.call_later(SILENCE, self._look, None)
        late = ProviderUnavailable(f"The engine did not answer within {seconds:.0f} s.", "`infill engine status` shows what it does.")
        return number, inbox, self._loop.call_later(seconds, inbox.put_nowait, late)

    async def _next(self, inbox: asyncio.Queue[Any]) -> Any:
        frame = await inbox.get()
        if isinstance(frame, Failed):
            raise _error(frame)
        if isinstance(frame, InfillError):
            raise frame
        return frame

    def _send(self, frame: Frame) -> None:
        if max(len(getattr(frame, "model", "")), len(getattr(frame, "slot", ""))) > protocol.LONGEST_NAME:
            raise RequestError(f"The name of a model or a document is longer than {protocol.LONGEST_NAME} characters.")
        try:
            self._connection.send(frame)
        except BadFrame as exc:
            raise RequestError(f"The request is too large for the engine: {exc}.") from exc
        except UnicodeEncodeError as exc:
            raise RequestError("The request contains text that is not valid Unicode.") from exc

    def _send_if_open(self, frame: Frame) -> None:
        if self.ended is None:
            self._connection.send(frame)

    # ---- receiving

    async def _read(self) -> None:
        """Dispatch frames until the connection ends. Every open request then gets the reason."""
        reason: InfillError | None = None
        try:
            while (frame := await self._connection.receive()) is not None:
                self._heard = self._loop.time()
                if isinstance(frame, Farewell):
                    reason = ProviderUnavailable(f"The engine exited: {frame.reason}.", "The next request starts it again.")
                elif isinstance(frame, Failed) and not frame.id:
                    reason = _error(frame)  # it gives the reason for the end of the connection
                self._sort(frame)
        except BadFrame:
            log.warning("The engine's answer was cut short.")
        except Exception:
            log.exception("The engine's answers cannot be read any more.")
            reason = ProviderUnavailable("The connection to the engine failed.", "The next request makes a new one.")
        self._end(reason or self._process.obituary())
        self._connection.abort()

    def _sort(self, frame: FromEngine) -> None:
        if isinstance(frame, Changed):
            if self._on_changed is not None:
                _told(self._on_changed, frame)
        elif isinstance(frame, Text | Done | Failed | Status) and (inbox := self._inboxes.get(frame.id)) is not None:
            inbox.put_nowait(frame)

    def _end(self, reason: InfillError) -> None:
        """The connection ended: every open request gets the reason."""
        if self.ended is not None:
            return
        self.ended, self.ended_at = reason, time.monotonic()
        if self._watch is not None:
            self._watch.cancel()
        for inbox in self._inboxes.values():
            inbox.put_nowait(reason)
        self._inboxes.clear()
        if self.on_end is not None:
            _told(self.on_end, reason)

    # ---- health check

    def _look(self, asked: float | None) -> None:
        """Check that the engine sends messages. `asked` is when it was pinged, if it was."""
        self._watch = None
        if self.ended is not None or not (self._inboxes or asked):
            return
        now = self._loop.time()
        if asked is not None and self._heard >= asked:
            asked = None
        if asked is None and now - self._heard >= SILENCE:
            asked = now
            self._send_if_open(AskStatus(id=0))
        if asked is not None and now - asked >= UNANSWERED:
            self._give_up_waiting()
        if asked is not None and now - asked >= HUNG:
            self._process.kill(self.pid)
            self._end(errors.EngineCrashed("The engine stopped responding and was ended.", "The next request starts it again."))
            self._connection.abort()
            return
        self._watch = self._loop.call_later(SILENCE / 2, self._look, asked)

    def _give_up_waiting(self) -> None:
        """End the requests that are useless when late; the others may still be answered."""
        silent = ProviderUnavailable("The engine does not answer at the moment.", "If that lasts, it is ended and started again.")
        for number in self._brief & self._inboxes.keys():
            self._inboxes.pop(number).put_nowait(silent)
            self._send_if_open(Cancel(id=number))


def _told(callback: Callable[[Any], None], news: Any) -> None:
    """Run a callback. Its exceptions are logged and do not end the connection."""
    try:
        callback(news)
    except Exception:
        log.exception("A message of the engine could not be handled.")


def _error(failed: Failed) -> InfillError:
    """The exception for an error that was raised in the engine."""
    return errors.BY_NAME.get(failed.error, errors.ProviderError)(failed.message, failed.hint)
