"""Owns all tasks. Each document has a lane: a request that callers wait for, an answer that is read, a prefetch and a warm-up.

    request A   |--wait--|--reads--x            newest wins: A's caller gets `None` at once
    request B              |--------|           equal requests join: two callers, one request
    answer                 |-----first line-------------end|   reading continues after the callers have their result
    prefetch                                         |-------| sent when the answer is complete

This module does not depend on prompts or suggestions. Cancelled, superseded and late requests are normal results, never exceptions for the caller
(except its own CancelledError).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

from infill.ask import Event
from infill.completion.answer import Answer

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

LINGER_S = 0.010
"""An answer is read for this long after its last caller has cancelled: editors cancel a request just before they send the next one."""
RESCUE_S = 0.300
"""The same if the document has changed and the answer still agrees; the editor is expected to send a new request."""


class _Question(Generic[T]):
    """One request with any number of callers."""

    def __init__(self, key: object, result: asyncio.Future[T | None]) -> None:
        self.key = key
        self.result = result
        self.callers = 0
        self.task: asyncio.Task[None] | None = None

    def settle(self, value: T | None) -> None:
        if not self.result.done():
            self.result.set_result(value)


class _Run:
    """One answer being read."""

    def __init__(self, answer: Answer, task: asyncio.Task[None], parent: Answer | None) -> None:
        self.answer = answer
        self.task = task
        self.parent = parent
        """The answer that has to be accepted first; set for a prefetch."""

    def stop(self, why: str) -> None:
        self.answer.close(stopped=why)
        self.task.cancel()


class _Lane:
    """The tasks of one document."""

    def __init__(self) -> None:
        self.question: _Question[Any] | None = None
        self.running: _Run | None = None
        self.ahead: _Run | None = None
        self.planned: Answer | None = None
        self.plan: asyncio.Task[None] | None = None
        self.warming: asyncio.Task[None] | None = None
        self.linger: asyncio.Task[None] | None = None
        self.holds = False
        """The document has changed since the last request, and the running answer still agrees."""


class Scheduler:
    """Starts, joins and ends all tasks."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # ---- requests

    async def turn(self, uri: str, key: object, work: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """The result of `work`, which equal requests share; None if a newer request superseded it."""
        lane = self._lane(uri)
        question: _Question[T] | None = lane.question
        if question is None or question.key != key or question.result.done():
            self.overtake(uri)
            question = lane.question = _Question(key, asyncio.get_running_loop().create_future())
            question.task = self._spawn(self._answer(question, work))
        _cancel(lane.linger)
        lane.holds = False
        question.callers += 1
        try:
            return await asyncio.shield(question.result)
        finally:
            question.callers -= 1
            if not question.callers and not question.result.done():
                self._abandon(lane, question)

    def overtake(self, uri: str, key: object = None) -> None:
        """End a request with another key than `key`; its callers get None."""
        lane = self._lanes.get(uri)
        if lane and lane.question and lane.question.key != key:
            _cancel(lane.question.task)
            lane.question.settle(None)
            lane.question = None

    async def _answer(self, question: _Question[T], work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        try:
            question.settle(await work())
        except Exception as exc:
            if question.callers and not question.result.done():
                question.result.set_exception(exc)
        finally:
            question.settle(None)

    def _abandon(self, lane: _Lane, question: _Question[Any]) -> None:
        _cancel(question.task)
        question.settle(None)
        if lane.question is question:
            lane.question = None
            self._linger(lane, RESCUE_S if lane.holds else LINGER_S)

    def _linger(self, lane: _Lane, seconds: float) -> None:
        _cancel(lane.linger)
        lane.linger = self._spawn(self._stop_after(lane, seconds))

    async def _stop_after(self, lane: _Lane, seconds: float) -> None:
        await self._sleep(seconds)
        if lane.running:
            lane.running.stop("cancelled")
        _cancel(lane.warming)

    # ---- answers

    def read(
        self,
        uri: str,
        answer: Answer,
        stream: AsyncIterator[Event],
        *,
        deadline: float,
        ended: Callable[[Answer], None],
        parent: Answer | None = None,
    ) -> None:
        """Read `stream` into `answer`, for at most `deadline` seconds. With a `parent` it is a prefetch; else it replaces the running answer."""
        lane = self._lane(uri)
        task = self._spawn(self._read(lane, answer, stream, deadline, ended))
        run = _Run(answer, task, parent)
        if parent:
            _stop(lane.ahead, "overtaken")
            lane.ahead = run
        else:
            _cancel(lane.warming)
            _stop(lane.running, "overtaken")
            lane.running = run

    def use(self, uri: str, answer: Answer) -> None:
        """Keep reading an answer that a caller needs; a prefetched one becomes the running answer."""
        lane = self._lane(uri)
        _cancel(lane.linger)
        if lane.ahead and lane.ahead.answer is answer:
            _stop(lane.running, "overtaken")
            lane.running, lane.ahead = lane.ahead, None

    def keep(self, uri: str, agrees: Callable[[Answer], bool]) -> None:
        """The document changed: stop answers that disagree. One that agrees and has no caller continues for a while, until the next request."""
        lane = self._lanes.get(uri)
        if not lane:
            return
        if lane.running and not agrees(lane.running.answer):
            lane.running.stop("the document changed")
            lane.running = None
        elif lane.running:
            lane.holds = True
            if lane.linger and not lane.linger.done():
                self._linger(lane, RESCUE_S)
        if lane.planned and not (agrees(lane.planned) or (lane.ahead and agrees(lane.ahead.answer))):
            _cancel(lane.plan)
            _stop(lane.ahead, "the document changed")
            lane.ahead = lane.planned = None

    def after(self, uri: str, answer: Answer, pause: float, begin: Callable[[], None]) -> None:
        """Call `begin` when `answer` is complete and `pause` seconds have passed without another plan."""
        lane = self._lane(uri)
        if lane.planned is not answer or not (lane.plan and lane.plan.done()):
            _cancel(lane.plan)
            lane.planned = answer
            lane.plan = self._spawn(self._begin_after(answer, pause, begin))

    async def _begin_after(self, answer: Answer, pause: float, begin: Callable[[], None]) -> None:
        await self._sleep(pause)
        while not answer.complete:
            await answer.grown()
        if not (answer.stopped or answer.error):
            begin()

    async def _read(self, lane: _Lane, answer: Answer, stream: AsyncIterator[Event], deadline: float, ended: Callable[[Answer], None]) -> None:
        watch = self._spawn(self._end_late(answer, deadline, asyncio.current_task()))
        try:
            async for event in stream:
                answer.apply(event)
                if answer.has_run_on():
                    answer.close(ran_on=True)
                    break
            answer.close()
        except Exception as exc:
            answer.close(error=exc)
        finally:
            answer.close(stopped="cancelled")
            watch.cancel()
            for name in ("running", "ahead"):
                if (run := getattr(lane, name)) and run.answer is answer:
                    setattr(lane, name, None)
            ended(answer)
            if close := getattr(stream, "aclose", None):
                await close()

    async def _end_late(self, answer: Answer, seconds: float, reader: asyncio.Task[Any] | None) -> None:
        await self._sleep(seconds)
        answer.close(stopped="no answer in time")
        _cancel(reader)

    @contextlib.contextmanager
    def reminded(self, seconds: float, work: Callable[[], None]) -> Iterator[None]:
        """Call `work` if the block takes longer than `seconds`."""

        async def remind() -> None:
            await self._sleep(seconds)
            work()

        reminder = self._spawn(remind())
        try:
            yield
        finally:
            _cancel(reminder)

    # ---- background

    def warm(self, uri: str, pause: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` after `pause` seconds; it replaces an earlier warm-up that waits."""
        lane = self._lane(uri)
        _cancel(lane.warming)
        lane.warming = self._spawn(self._later(pause, work))

    def background(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `work` without a caller; its errors are ignored."""
        self._spawn(self._later(0, work))

    async def _later(self, pause: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if pause:
            await self._sleep(pause)
        with contextlib.suppress(Exception):  # no caller waits for it, and the next request reports the same error
            await work()

    # ---- ends

    def close(self, uri: str) -> None:
        """End all tasks of one document."""
        if lane := self._lanes.pop(uri, None):
            if lane.question:
                _cancel(lane.question.task)
                lane.question.settle(None)
            _stop(lane.running, "closed")
            _stop(lane.ahead, "closed")
            for task in (lane.plan, lane.warming, lane.linger):
                _cancel(task)

    def close_all(self) -> None:
        for uri in list(self._lanes):
            self.close(uri)

    async def aclose(self) -> None:
        """End all tasks, and wait for them."""
        self.close_all()
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def busy(self, uri: str) -> bool:
        """Whether an answer is being read for this document."""
        lane = self._lanes.get(uri)
        return bool(lane and lane.running)

    def waited_for(self, uri: str) -> bool:
        """Whether a caller waits for an answer for this document."""
        lane = self._lanes.get(uri)
        return bool(lane and lane.question and not lane.question.result.done())

    def _lane(self, uri: str) -> _Lane:
        return self._lanes.setdefault(uri, _Lane())

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _cancel(task: asyncio.Task[Any] | None) -> None:
    if task and not task.done():
        task.cancel()


def _stop(run: _Run | None, why: str) -> None:
    if run:
        run.stop(why)
