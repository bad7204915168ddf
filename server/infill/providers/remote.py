"""A remote provider: the HTTP requests that all kinds of servers have in common. Differences between servers are in a Dialect.

Masks secrets and shortens every part of a prompt. Never prefetches, and never sends text of excluded files. Runs one completion at a time;
the next one waits within its own deadline.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import statistics
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

import msgspec

from infill.answers.reasoning import Joined
from infill.answers.stream import Completion
from infill.ask import Delta, Event, Finish, Instruction, Prompt, Report, Stop, Timings
from infill.errors import InfillError, ProviderUnavailable
from infill.providers import outgoing, parameters
from infill.providers.base import Limits
from infill.providers.breaker import REFUSED_PAUSE
from infill.providers.cut import Cutter
from infill.providers.dialect import Call, Dialect, Facts, Piece, RemoteModel
from infill.providers.http import Connection, Deadline
from infill.providers.trouble import CannotFill, NotAsked, Unsupported

REMEMBERED_TIMES = 15
"""Number of answers in the median `typical_ms`."""
LINGER = 0.02
"""Seconds to wait for the end of a finished stream: a connection that was read to its end can be reused."""
LAST_WORDS_SECONDS = 30.0
"""Longest wait in seconds for the running answer when a provider is closed."""

Tell = Callable[[InfillError], None]


class Remote:
    """One server for completions and generations."""

    def __init__(
        self, name: str, line: Connection, dialect: Dialect, clock: Callable[[], float] = time.monotonic, tell: Tell = lambda error: None
    ) -> None:
        self.name = name
        self.line = line
        self.dialect = dialect
        self._clock = clock
        self._tell = tell
        self._parameters = parameters.Parameters(line.host)
        self._facts: Facts | None = None
        self._cannot: tuple[CannotFill, float] | None = None
        """Why it cannot complete, and until when it is not tried again."""
        self._turn = asyncio.Lock()
        self._answering = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._times: collections.deque[float] = collections.deque(maxlen=REMEMBERED_TIMES)
        self._asked: collections.deque[float] = collections.deque()

    @property
    def limits(self) -> Limits:
        """The dialect's limits with the measured speed."""
        return msgspec.structs.replace(self.dialect.limits, typical_ms=statistics.median(self._times) if self._times else 0.0)

    async def warm(self, prompt: Prompt) -> None:
        """Does nothing: prefetching must not send text to another machine."""

    async def forget(self, slot: str) -> None:
        """Does nothing: no per-document state."""

    async def aclose(self) -> None:
        """Close the connections after the running answer: its reader may continue when another provider is chosen."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), LAST_WORDS_SECONDS)
        await self.line.aclose()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        self._answering += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._answering -= 1
            if not self._answering:
                self._idle.set()

    async def complete(self, prompt: Prompt) -> AsyncGenerator[Event, None]:
        """Fill in the middle on the server."""
        deadline = Deadline(min(prompt.stop.deadline_ms, self.line.endpoint.timeout_ms) / 1000, self._clock)
        if prompt.priority == "background":
            raise NotAsked(f"{self.name} is not asked ahead of time.")
        self._may_ask(prompt.remote_allowed)
        async with self._my_turn(deadline):
            masked, found = await asyncio.to_thread(outgoing.presentable, prompt, self.dialect.limits)
            facts = await self.look(deadline)
            notes = (*outgoing.note(found), *filter(None, [facts.note]))
            calls = [self.dialect.completion(candidate, facts) for candidate in outgoing.candidates(masked)]
            answer = self._answer(calls[0], masked.stop, facts.model, deadline, notes)
            if len(calls) > 1:
                answer = self._several(calls, masked.stop, facts.model, deadline, notes)
            with self._remembering():
                async with contextlib.aclosing(answer) as events:
                    async for event in events:
                        yield event

    def follows_instructions(self, model: str) -> bool:
        """True if unknown; the server refuses the request otherwise."""
        return True

    async def generate(self, instruction: Instruction, model: str = "") -> AsyncGenerator[Event, None]:
        """Answer an instruction on the server."""
        deadline = Deadline(instruction.stop.deadline_ms / 1000, self._clock)
        self._may_ask(instruction.remote_allowed)
        turns, found = await asyncio.to_thread(outgoing.masked, instruction.messages)
        asked = msgspec.structs.replace(instruction, messages=turns)
        model = model or await self.dialect.model(self.line, deadline)
        notes = outgoing.note(found)
        async with contextlib.aclosing(self._answer(self.dialect.generation(asked, model), asked.stop, model, deadline, notes)) as events:
            async for event in events:
                yield event

    async def look(self, deadline: Deadline) -> Facts:
        """The facts about the remote model, requested once. A refusal because it cannot fill in the middle is cached too."""
        if self._cannot is not None and self._clock() < self._cannot[1]:
            raise self._cannot[0]
        if self._facts is None:
            with self._remembering():
                self._facts = await self.dialect.look(self.line, deadline)
            if self._facts.warning is not None:
                self._tell(self._facts.warning)
        return self._facts

    @contextlib.contextmanager
    def _remembering(self) -> Iterator[None]:
        """Remember for a while that the server cannot complete; it may still follow instructions."""
        try:
            yield
        except CannotFill as exc:
            self._cannot = exc, self._clock() + REFUSED_PAUSE
            raise

    async def models(self) -> list[RemoteModel]:
        """The models that the server offers."""
        return await self.dialect.models(self.line, Deadline(self.line.endpoint.timeout_ms / 1000, self._clock))

    def _may_ask(self, allowed: bool) -> None:
        """Raise ProviderUnavailable if privacy settings or the rate limit forbid a request."""
        if not allowed:
            raise NotAsked(f"{self.name} is not asked: this file's text stays on this machine.")
        self.line.check()
        most, now = self.line.endpoint.max_requests_per_minute, self._clock()
        while self._asked and self._asked[0] <= now - 60:
            self._asked.popleft()
        if most and len(self._asked) >= most:
            raise NotAsked(f"{self.name} has had its {most} requests of this minute.")

    @contextlib.asynccontextmanager
    async def _my_turn(self, deadline: Deadline) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(self._turn.acquire(), max(0.0, deadline.left()))
        except asyncio.TimeoutError as exc:
            raise ProviderUnavailable(f"{self.name} is still busy with another request.") from exc
        try:
            yield
        finally:
            self._turn.release()

    async def _several(self, calls: list[Call], stop: Stop, model: str, deadline: Deadline, notes: tuple[str, ...]) -> AsyncGenerator[Event, None]:
        """Several candidates from parallel requests: few servers return more than one per request."""

        async def collect(number: int, call: Call) -> list[Event]:
            async with contextlib.aclosing(self._answer(call, stop, model, deadline, notes)) as events:
                return [msgspec.structs.replace(event, candidate=number) if not isinstance(event, Report) else event async for event in events]

        tasks = [asyncio.ensure_future(collect(number, call)) for number, call in enumerate(calls)]
        try:
            answers = [answer for answer in await asyncio.gather(*tasks, return_exceptions=True) if not isinstance(answer, asyncio.CancelledError)]
        finally:
            for task in tasks:
                task.cancel()
        good = [answer for answer in answers if isinstance(answer, list)]
        if not good:
            raise next(answer for answer in answers if isinstance(answer, BaseException))
        for number, answer in enumerate(good):
            for event in answer[:-1]:
                assert not isinstance(event, Report)
                yield msgspec.structs.replace(event, candidate=number)
        yield good[0][-1]

    async def _answer(self, call: Call, stop: Stop, model: str, deadline: Deadline, notes: tuple[str, ...]) -> AsyncGenerator[Event, None]:
        """One answer, cut at its end. After the first text a timeout is a normal end; a broken connection never is."""
        asked = self._clock()
        self._asked.append(asked)
        cutter, code, last = Cutter(stop, call.words), Completion(call.prefix, call.language) if call.chat else None, Piece()
        joined, certainty = Joined(), Certainty()
        first = given = 0.0
        try:
            async with contextlib.aclosing(self._pieces(call, deadline)) as pieces:
                async for piece in pieces:
                    last = _later(last, piece)
                    certainty.feed(piece)
                    said = joined.feed(piece.reasoning if call.converses else "", piece.text)
                    text = cutter.feed(code.feed(said) if code else said)
                    if text:
                        if code and not given:
                            certainty.begin(text)
                        first = first or self._clock() - asked
                        given += len(text)
                        yield Delta(text, logprob=certainty.logprob)
                    if cutter.ended:
                        break
        except ProviderUnavailable as exc:
            if not last.why:
                if not given or deadline.left() > 0:
                    raise
                cutter.why, notes = "deadline", (*notes, exc.message)
        if not cutter.ended:
            rest = (cutter.feed(code.end()) if code else "") + cutter.end()
            cutter.why = "length" if last.why == "length" and cutter.why == "end" else cutter.why
            if rest:
                if code and not given:
                    certainty.begin(rest)
                yield Delta(rest, logprob=certainty.logprob)
        self._times.append((first or self._clock() - asked) * 1000)
        yield Finish(0, why=cutter.why or "end", logprob=certainty.logprob)
        yield Report(provider=self.name, model=model, notes=notes, timings=_timings(self._clock() - asked, first, last))

    async def _pieces(self, call: Call, deadline: Deadline) -> AsyncGenerator[Piece, None]:
        """The pieces of an answer up to the one that ends it."""
        started = ended = False
        patience = deadline.at_most(deadline.seconds)
        with self._at_work():
            async with contextlib.aclosing(self._messages(call, patience)) as messages:
                async for message in messages:
                    if ended:
                        continue
                    with self.line.understood(str(message).encode("utf-8", "replace")):
                        piece = self.dialect.read(message)
                    started = started or bool(piece.text or piece.reasoning)
                    yield piece
                    if piece.why:  # the rest is the end of the stream: after reading it, the connection can be reused
                        ended = True
                        patience.shorten(LINGER)
        if ended:
            return
        raise ProviderUnavailable(f"{self.name} {'broke off its answer' if started else 'ended without an answer'}.")

    async def _messages(self, call: Call, deadline: Deadline) -> AsyncGenerator[dict[str, Any], None]:
        """The messages of an answer. If the server refuses a parameter, the request is repeated without it."""
        for _ in parameters.OPTIONAL:
            body = self._parameters.adapted(call.path, call.body)
            try:
                async with contextlib.aclosing(self.line.messages(call.path, body, deadline)) as messages:
                    async for message in messages:
                        yield message
                    return
            except Unsupported as exc:
                self._parameters.learn(call.path, body, exc.said)
                if self._parameters.adapted(call.path, call.body) == body:
                    raise


class Certainty:
    """The log-probability of an answer so far; None after text without one."""

    def __init__(self) -> None:
        self._raw = ""
        self._sums = [(0, 0.0)]
        """Pairs: length of the text, and its log-probability up to there."""
        self._skipped = 0.0
        self._said = False
        self._unsaid = False

    @property
    def logprob(self) -> float | None:
        return self._sums[-1][1] - self._skipped if self._said and not self._unsaid else None

    def feed(self, piece: Piece) -> None:
        self._raw += piece.text
        if piece.logprob is not None:
            self._sums.append((len(self._raw), self._sums[-1][1] + piece.logprob))
            self._said = True
        elif piece.text:
            self._unsaid = True

    def begin(self, code: str) -> None:
        """Start the answer at `code`: a fence or sentence before it does not count."""
        line = next(filter(None, map(str.strip, code.split("\n"))), "")
        start = max(0, self._raw.find(line))
        self._skipped = max((length, logprob) for length, logprob in self._sums if length <= start)[1]


def _later(last: Piece, piece: Piece) -> Piece:
    """The facts of both pieces: counts and stop reason from whichever message has them."""
    return Piece(
        why=piece.why or last.why,
        evaluated=piece.evaluated or last.evaluated,
        kept=piece.kept or last.kept,
        generated=piece.generated or last.generated,
    )


def _timings(total: float, first: float, last: Piece) -> Timings:
    return Timings(
        total_ms=total * 1000,
        first_token_ms=first * 1000,
        tokens_evaluated=last.evaluated,
        tokens_kept=last.kept,
        tokens_generated=last.generated,
    )
