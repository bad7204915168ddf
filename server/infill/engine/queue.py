"""Schedules the requests of all clients: which one runs the next step. Pure: no threads, no clock, no llama.cpp.

    rank                scheduling                                   effect on others
    invoked             first: the user pressed a key                none
    automatic           the newest of each client, in turn           ends an older one of the same slot
    generate            in the gaps of those above
    next edit           likewise; its running step can be aborted    ends an older one of the same slot
    background          requests past their first line, then         ended or suspended within one step
                        prefetches, then warm-up

Several clients of one rank take turns: a turn lasts until the request is answered, for QUANTUM seconds at most. No two requests that have begun
share a slot: the second would overwrite the first's KV cache.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import msgspec

from infill.ask import Stop
from infill.engine.protocol import Complete, Done, Frame, Generate, Rewrite, Text, Warm

QUANTUM = 0.25
"""Seconds of the model's time before the next client's turn: a slow request must not delay the fast ones of other clients."""

FIRST_TOGETHER, TOGETHER = 0.006, 0.02
"""Seconds of text per message: for the first line, which the user waits for, and for the rest."""

INVOKED, AUTOMATIC, GENERATE, EDIT, YIELDED, AHEAD, WARM = range(7)
BACKGROUND = YIELDED
"""From this rank on no user waits for the answer."""

Ask = Complete | Warm | Generate | Rewrite
Steps = Iterator[Text | Done | None]


class Job:
    """A request in the engine, with its state."""

    def __init__(self, ask: Ask, client: Hashable, arrived: float, deliver: Callable[[Frame], None]) -> None:
        self.ask = ask
        self.client = client
        self.arrived = arrived
        self.deliver = deliver
        """Sends the frames of the response; must be called on the event loop."""
        self.model = ask.model
        """The model that answers: the requested one, unless this client replaced it."""
        self.ready = False
        """Its model is in memory."""
        self.steps: Steps | None = None
        """The runtime's generator, once it has begun."""
        self.began = 0.0
        self.yielded = False
        self.runtime: Any = None
        """The runtime of that generator."""
        self.last: Frame | None = None
        """The message that ends it, once its end is decided."""
        self._head = ""
        """The first line of the first candidate, while it is generated."""
        self._first_line = False
        self._held: dict[int, Text] = {}
        self._sent = 0.0

    @property
    def stop(self) -> Stop:
        return Stop(max_tokens=0, deadline_ms=120_000) if isinstance(self.ask, Warm) else self.ask.stop

    @property
    def deadline(self) -> float:
        return self.arrived + self.stop.deadline_ms / 1000

    @property
    def rank(self) -> int:
        if self.yielded:
            return YIELDED
        if isinstance(self.ask, Complete):
            return {"invoked": INVOKED, "automatic": AUTOMATIC}.get(self.ask.priority, AHEAD)
        if isinstance(self.ask, Rewrite):
            return EDIT
        return GENERATE if isinstance(self.ask, Generate) else WARM

    @property
    def waited_for(self) -> bool:
        return self.rank < BACKGROUND

    @property
    def place(self) -> tuple[str, str]:
        """The slot that it uses: model and slot name."""
        return self.model, self.ask.slot

    def saw(self, piece: Text, now: float) -> list[Text]:
        """Record a piece of generated text; returns the messages to send now. Text is batched, because a message per token wakes too many processes.

        The first piece is sent at once if it is shown at once. After its first line, a request with `yield_after_line` continues in the
        background.
        """
        first = not self._sent and not (isinstance(self.ask, Complete) and self.ask.yield_after_line)
        self._sent = self._sent or now
        before = self._held.get(piece.candidate)
        # the log-probability covers all text so far: the latest one applies
        self._held[piece.candidate] = msgspec.structs.replace(piece, id=self.ask.id, text=before.text + piece.text if before else piece.text)
        first_line = not self._first_line and piece.candidate == 0 and "\n" in (self._head + piece.text).lstrip()
        if first_line:
            self._first_line = True
            self.yielded = isinstance(self.ask, Complete) and self.ask.yield_after_line
        elif not self._first_line and piece.candidate == 0:
            self._head += piece.text
        together = TOGETHER if self._first_line else FIRST_TOGETHER
        return self.held(now) if first or first_line or now - self._sent > together else []

    def held(self, now: float) -> list[Text]:
        """The generated text that was not sent yet."""
        texts = list(self._held.values())
        self._held, self._sent = {}, now
        return texts


class Queue:
    """All requests that have not ended."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self._served: dict[Hashable, int] = {}
        """Client -> number of its last turn."""
        self._turn = 0
        self._served_last: Job | None = None
        self._used = 0.0
        """Seconds used of the current turn."""

    def add(self, job: Job) -> list[Job]:
        """Add a request; returns those that it supersedes (they are removed)."""
        superseded = [old for old in self.jobs if _supersedes(job, old)]
        for old in superseded:
            self.remove(old)
        self.jobs.append(job)
        return superseded

    def remove(self, job: Job) -> None:
        if job in self.jobs:
            self.jobs.remove(job)

    def find(self, client: Hashable, ask_id: int) -> Job | None:
        return next((job for job in self.jobs if job.client == client and job.ask.id == ask_id), None)

    def of(self, client: Hashable) -> list[Job]:
        return [job for job in self.jobs if job.client == client]

    def in_the_way(self) -> list[Job]:
        """Background requests that hold a slot which a user's request needs."""
        needed = {job.place for job in self.jobs if job.waited_for and job.ready and job.steps is None}
        return [job for job in self.jobs if not job.waited_for and job.steps is not None and job.place in needed]

    def take(self) -> Job | None:
        """The request for the next step. It stays in the queue."""
        held = {job.place for job in self.jobs if job.steps is not None}
        able = [job for job in self.jobs if job.ready and (job.steps is not None or job.place not in held)]
        if not able:
            return None
        rank = min(job.rank for job in able)
        equals = [job for job in able if job.rank == rank]
        if rank >= BACKGROUND:
            return equals[-1]
        client = self._whose(equals)
        return [job for job in equals if job.client == client][-1]

    def ran(self, job: Job, seconds: float) -> None:
        """Count a step's time."""
        if job is not self._served_last:
            self._served_last, self._used = job, 0.0
            self._turn += 1
            self._served[job.client] = self._turn
        self._used += seconds

    def leave(self, client: Hashable) -> list[Job]:
        """A client disconnected; returns its requests (they are removed)."""
        gone = self.of(client)
        for job in gone:
            self.remove(job)
        self._served.pop(client, None)
        return gone

    def _whose(self, equals: Sequence[Job]) -> Hashable:
        """The client whose turn it is: the current one until its turn is used up, else the one whose last turn was longest ago."""
        last = self._served_last
        if last in equals and last is not None and self._used < QUANTUM:
            return last.client
        waiting = dict.fromkeys(job.client for job in equals)
        if last in equals and last is not None and len(waiting) > 1:
            waiting.pop(last.client)
        return min(waiting, key=lambda client: self._served.get(client, 0))


def _supersedes(new: Job, old: Job) -> bool:
    """Whether `old` is obsolete: `new` is for the same document."""
    if new.place != old.place or new.client != old.client:
        return False
    if isinstance(new.ask, Generate | Rewrite) or isinstance(old.ask, Generate | Rewrite):
        return type(new.ask) is type(old.ask)
    return new.waited_for or (not old.waited_for and new.rank <= old.rank)
