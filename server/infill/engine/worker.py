"""The inference thread, which runs all models, next to the event loop.

It takes the next request from the queue, runs one step of it, delivers the result, and repeats. So a newer or more urgent request waits for at
most one step. A cancelled request ends even sooner: `Runtime.abort` ends the running decoding. Every public function in this module is called
from the event loop and returns at once. All methods of a runtime except `abort` are called in this thread only.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from infill.ask import Finish
from infill.engine.protocol import Complete, Done, Failed, Frame, Generate, ModelStatus, Rewrite, Text, Warm
from infill.engine.queue import AHEAD, BACKGROUND, EDIT, YIELDED, Job, Queue, Steps
from infill.errors import DoesNotFit, EngineCrashed, InfillError, ProviderError

QUIET = 2.0
"""Seconds without a request before slots are refreshed: a pause in typing, not the gap between two keystrokes."""
HANDOVER = 0.003
"""Pause in seconds after a user's first line: with few cores, continuing at once would delay the processes that deliver it."""
INSIST = 0.02
"""Seconds between two calls of `abort` for the same request: the first may fall between two steps and have no effect."""
HUNG = 10.0
"""Seconds that a step may take after an abort before the thread counts as hung; normally milliseconds."""
STALLED = 20.0
"""Seconds after which a step is aborted if another client's request has passed its deadline meanwhile."""

log = logging.getLogger(__name__)
Value = TypeVar("Value")


class Loaded(Protocol):
    """A model in memory; the interface of `runtime.Runtime`."""

    target_ms: float
    """`latency.target`, from which the prompt window is computed."""

    def complete(self, ask: Complete) -> Iterator[Text | Done | None]: ...
    def warm(self, ask: Warm) -> Iterator[Done | None]: ...
    def generate(self, ask: Generate) -> Iterator[Text | Done | None]: ...
    def rewrite(self, ask: Rewrite) -> Iterator[Text | Done | None]: ...
    def idle_work(self) -> Iterator[None] | None: ...
    def abort(self) -> None: ...
    def forget(self, slot: str) -> None: ...
    def status(self) -> ModelStatus: ...
    def limits(self) -> dict[str, float]: ...
    def save_slots(self, folder: Path) -> None: ...
    def restore_slots(self, folder: Path) -> None: ...
    def close(self) -> None: ...


def failed(ask_id: int, exc: BaseException) -> Failed:
    """An exception as a message: its own text for an InfillError, else its type and where to look."""
    if isinstance(exc, InfillError):
        message, hint = (words.encode("utf-8", "replace").decode() for words in (exc.message, exc.hint))  # a path may be invalid Unicode
        return Failed(id=ask_id, error=type(exc).__name__, message=message, hint=hint)
    if isinstance(exc, MemoryError):
        return failed(ask_id, DoesNotFit("There is not enough memory for this.", "Choose a smaller model, or set infill.engine.contextSize lower."))
    trouble = f"The engine met an unexpected error ({type(exc).__name__})."
    return failed(ask_id, ProviderError(trouble, "Its last lines are in `infill engine status`."))


class Worker:
    """The inference thread and its interface."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_hung: Callable[[], None], refresh: Callable[[], bool] = lambda: True) -> None:
        self._loop = loop
        self._on_hung = on_hung
        self._refresh = refresh
        """Whether slots are refreshed while the engine is idle."""
        self._queue = Queue()
        self._runtimes: dict[str, Loaded] = {}
        self._calls: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        """Guards all fields above and below; notified when there may be something to do."""
        self._current: Job | None = None
        self._since = 0.0
        self._idle: tuple[Loaded, Iterator[None]] | None = None
        self._rested: set[str] = set()
        """Models that have nothing left to refresh."""
        self._last = time.monotonic()
        self._leaving = False
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    # ---- called from the event loop

    def submit(self, job: Job) -> None:
        """Queue a request; those that it supersedes end now."""
        with self._wake:
            job.ready = job.model in self._runtimes
            for old in self._queue.add(job):
                self._end(old, _stopped(old, "superseded by a newer request"))
            if job.waited_for:
                self._hurry(job)
            self._wake.notify()

    def stop(self, job: Job, last: Frame) -> None:
        """End a request with the message `last`. Its running decoding is aborted."""
        with self._wake:
            if job.last is not None:
                return
            stalled = self._current is not None and self._current is not job and time.monotonic() - self._since > STALLED
            if stalled and self._current is not None:
                self._end(self._current, failed(self._current.ask.id, EngineCrashed("The model computed for too long without a result.")))
            self._end(job, last)
            self._wake.notify()

    def cancel(self, client: object, ask_id: int) -> None:
        """The client cancelled a request."""
        with self._wake:
            job = self._queue.find(client, ask_id)
        if job is not None:
            self.stop(job, _stopped(job, "cancelled"))

    def leave(self, client: object) -> None:
        """The client disconnected: its requests end."""
        with self._wake:
            for job in self._queue.leave(client):
                self._end(job, _stopped(job, "the client disconnected"))
            self._wake.notify()

    def jobs(self, model: str | None = None) -> list[Job]:
        """All requests that have not ended, of one model or of all."""
        with self._wake:
            return [job for job in self._queue.jobs if model in (None, job.model)]

    def background(self) -> str:
        """The current background task; empty if there is none."""
        with self._wake:
            if self._idle is not None:
                return "refreshing"
            job = self._current or self._queue.take()  # between two steps: the next request
            if job is None or job.rank < BACKGROUND:
                return ""
            return {YIELDED: "going on after the first line", AHEAD: "drafting ahead"}.get(job.rank, "warming")

    def wishes_changed(self) -> None:
        """Check again whether slots are to be refreshed; a refresh that is now off ends at once."""
        with self._wake:
            if self._idle is not None and not self._refresh():
                self._idle[0].abort()
            self._wake.notify()

    def attach(self, model: str, runtime: Loaded) -> None:
        """A model is in memory: its requests may begin."""
        with self._wake:
            self._runtimes[model] = runtime
            self._rested.discard(model)
            for job in self._queue.jobs:
                job.ready = job.ready or job.model == model
            self._wake.notify()

    def retire(self, model: str) -> None:
        """Let no further request of this model begin, and end those without a waiting user; the others continue."""
        with self._wake:
            self._withdraw(model, lambda job: not job.waited_for)

    def detach(self, model: str) -> None:
        """Let no further request of this model begin, and end those that have begun."""
        with self._wake:
            self._withdraw(model, lambda job: True)

    def stop_all(self, model: str) -> None:
        """End the requests that wait for a model that will not be loaded again."""
        for job in self.jobs(model):
            self.stop(job, _stopped(job, "its model was unloaded"))

    def working_for(self, runtime: Loaded) -> bool:
        """Whether requests that began with this runtime are still running."""
        with self._wake:
            return any(job.runtime is runtime for job in self._queue.jobs) or (self._current is not None and self._current.runtime is runtime)

    def retarget(self, job: Job, model: str) -> None:
        """Move a request that has not begun to another model."""
        with self._wake:
            job.model = model
            job.ready = model in self._runtimes
            self._wake.notify()

    def call(self, function: Callable[[], Value]) -> asyncio.Future[Value]:
        """Run a function that uses a runtime, between two steps."""
        future: asyncio.Future[Value] = self._loop.create_future()

        def run() -> None:
            try:
                value = function()
            except Exception as exc:
                self._post(settle, future, None, exc)
            else:
                self._post(settle, future, value, None)

        with self._wake:
            self._calls.append(run)
            self._wake.notify()
        return future

    def finish(self, timeout: float) -> bool:
        """End the thread after its current step; False if it does not end in time. Blocks: only for the engine's exit."""
        with self._wake:
            self._leaving = True
            for job in list(self._queue.jobs):
                self._end(job, _stopped(job, "the engine leaves"))
            self._wake.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # ---- called with the lock held, from either thread

    def _end(self, job: Job, last: Frame) -> None:
        """End a request with `last`: now, or when its running step returns."""
        self._queue.remove(job)
        job.last = last
        if job is self._current:
            self._abort(job)
            self._post(self._insist, job, time.monotonic() + HUNG)
            return
        if job.steps is not None:
            self._calls.append(_closing(job.steps))
        self._post(job.deliver, last)

    def _withdraw(self, model: str, ends: Callable[[Job], bool]) -> None:
        runtime = self._runtimes.pop(model, None)
        for job in [job for job in self._queue.jobs if job.model == model]:
            job.ready = job.runtime is not None
            if job.runtime is not None and ends(job):
                self._end(job, _stopped(job, "its model was unloaded"))
        if self._idle is not None and self._idle[0] is runtime:
            self._calls.append(self._end_refresh(self._idle[1]))

    def _hurry(self, job: Job) -> None:
        """A request arrived: abort background work and a next edit of lower rank at once; they continue later."""
        if self._idle is not None:
            self._idle[0].abort()
        current = self._current
        if current is not None and (not current.waited_for or job.rank < current.rank == EDIT):
            self._abort(current)

    def _abort(self, job: Job) -> None:
        if job.runtime is not None:
            job.runtime.abort()

    def _post(self, function: Callable[..., Any], *values: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *values)

    def _insist(self, job: Job, until: float) -> None:
        """Repeat an abort until it takes effect. After `until` the thread counts as hung, and the process exits."""
        with self._wake:
            if self._current is not job:
                return
            self._abort(job)
        if time.monotonic() > until:
            log.critical("The model does not come back from a computation that was stopped %.0f seconds ago.", HUNG)
            self._on_hung()
            return
        self._loop.call_later(INSIST, self._insist, job, until)

    # ---- the inference thread

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                work()
        except BaseException:
            # without this thread no request would ever end: the process exits, and every client is notified
            log.critical("The inference thread failed.", exc_info=True)
            self._post(self._on_hung)
            raise

    def _next(self) -> Callable[[], None] | None:
        with self._wake:
            while True:
                for job in self._queue.in_the_way():
                    self._end(job, _stopped(job, "another request needs the document"))
                if self._calls:
                    return self._calls.popleft()
                if self._leaving:
                    return None
                if (chosen := self._queue.take()) is not None:
                    return self._turn(chosen)
                if (refreshing := self._refreshing()) is not None:
                    return refreshing
                self._wake.wait(self._until_quiet())

    def _turn(self, job: Job) -> Callable[[], None]:
        self._rested.clear()
        if self._idle is not None:
            return self._end_refresh(self._idle[1])
        self._current, self._since = job, time.monotonic()
        job.runtime = job.runtime or self._runtimes[job.model]
        return lambda: self._step(job)

    def _step(self, job: Job) -> None:
        piece: Text | Done | Failed | None
        try:
            piece = next(self._begun(job), Done(id=job.ask.id))
            if isinstance(piece, Done):
                piece = self._complete(job, piece)
        except Exception as exc:
            if not isinstance(exc, InfillError):
                log.exception("A request failed.")
            piece = failed(job.ask.id, exc)
        with self._wake:
            self._last = time.monotonic()
            self._queue.ran(job, self._last - self._since)
            self._current = None
            waited_for = job.waited_for
            self._passed(job, piece)
            if waited_for and not job.waited_for:
                self._rest_after_a_first_line()
        if job.last is not None and job.steps is not None:
            # closed in this thread: the garbage collector could close it, and so change its cache, in any other thread
            _closing(job.steps)()

    def _begun(self, job: Job) -> Steps:
        if job.steps is None:
            runtime = job.runtime
            job.began = time.monotonic()
            left = max(1, int((job.deadline - job.began) * 1000))
            if isinstance(job.ask, Warm):
                job.steps = runtime.warm(job.ask)
            elif isinstance(job.ask, Generate):
                job.steps = runtime.generate(replace(job.ask, stop=replace(job.ask.stop, deadline_ms=left)))
            elif isinstance(job.ask, Rewrite):
                job.steps = runtime.rewrite(replace(job.ask, stop=replace(job.ask.stop, deadline_ms=left)))
            else:
                job.steps = runtime.complete(replace(job.ask, stop=replace(job.ask.stop, deadline_ms=left)))
        return job.steps

    def _complete(self, job: Job, done: Done) -> Done:
        """Add to a runtime's `Done` what the runtime does not know: the request's timings, model and limits."""
        total = (time.monotonic() - job.arrived) * 1000
        timings = replace(done.timings, total_ms=total, waited_ms=(job.began - job.arrived) * 1000)
        return replace(done, id=job.ask.id, model=job.model, timings=timings, limits=job.runtime.limits())

    def _passed(self, job: Job, piece: Text | Done | Failed | None) -> None:
        """Deliver the result of a step; with the lock held."""
        if isinstance(piece, Done | Failed):
            self._queue.remove(job)
            job.last = piece
            self._send(job, [*job.held(self._last), piece])
        elif job.last is not None:
            self._post(job.deliver, job.last)
        elif piece is not None and (texts := job.saw(piece, self._last)):
            self._send(job, texts)

    def _rest_after_a_first_line(self) -> None:
        """Wait for a moment and release the lock meanwhile; a new request ends the wait."""
        if not self._calls and not any(job.waited_for for job in self._queue.jobs):
            self._wake.wait(HANDOVER)

    def _send(self, job: Job, frames: Sequence[Frame]) -> None:
        self._post(lambda: [job.deliver(frame) for frame in frames])

    # ---- idle

    def _until_quiet(self) -> float | None:
        """How long to sleep: until the next request, or until a refresh is due."""
        if not self._refresh() or all(model in self._rested for model in self._runtimes):
            return None
        return max(0.05, self._last + QUIET - time.monotonic())

    def _refreshing(self) -> Callable[[], None] | None:
        if self._idle is not None:
            return self._refresh_step if self._refresh() else self._end_refresh(self._idle[1])
        if time.monotonic() < self._last + QUIET or not self._refresh():
            return None
        for model, runtime in self._runtimes.items():
            if model not in self._rested:
                return lambda: self._look_for_idle_work(model, runtime)
        return None

    def _end_refresh(self, work: Iterator[None]) -> Callable[[], None]:
        self._idle = None
        return _closing(work)

    def _look_for_idle_work(self, model: str, runtime: Loaded) -> None:
        work = None
        try:
            work = runtime.idle_work()
        except Exception:
            log.exception("The slots cannot be looked at.")
        with self._wake:
            if work is None:
                self._rested.add(model)
            else:
                self._idle = runtime, work

    def _refresh_step(self) -> None:
        idle = self._idle
        if idle is None:
            return
        try:
            next(idle[1])
        except Exception as exc:
            if not isinstance(exc, StopIteration):
                log.exception("A refresh failed.")
            with self._wake:
                self._idle = None


def _stopped(job: Job, why: str) -> Done:
    """The end of a request that is stopped early."""
    return Done(id=job.ask.id, model=job.model, finishes=(Finish(why="stopped"),), notes=(why,))


def _closing(steps: Iterator[Any]) -> Callable[[], None]:
    """Close a generator in the thread that runs it, so that its bookkeeping stays consistent."""

    def close() -> None:
        try:
            steps.close()  # type: ignore[attr-defined]
        except Exception:
            log.exception("A request could not be ended cleanly.")

    return close


def settle(future: asyncio.Future[Any], value: Any, exc: BaseException | None) -> None:
    """Set the result of a thread on a future, unless it was cancelled."""
    if future.done():
        return
    if exc is None:
        future.set_result(value)
    else:
        # asyncio refuses StopIteration as an exception, and the future would stay pending
        future.set_exception(RuntimeError("StopIteration") if isinstance(exc, StopIteration) else exc)
