"""Whose turn it is: every request of every client, and which of them takes the next step. Pure: no threads, no clock, no llama.cpp.

                        who goes first                               who is put aside
    invoked             a user pressed a key and waits               nobody
    automatic           the newest of each client, in turn           an older one of the same slot is ended
    generate            streams in the gaps of those above
    next edit           likewise, and what it computes is aborted    an older one of the same slot is ended
    background          what yielded after its first line, then      ended or put aside within one step
                        answers computed ahead, then warming

Several clients of one rank take turns: a client keeps the turn until its request is answered, for QUANTUM seconds at most. No two requests that
have begun share a slot, since the second would pull the first's KV cache from under it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import msgspec

from infill.ask import Stop
from infill.engine.protocol import Complete, Done, Frame, Generate, Rewrite, Text, Warm

QUANTUM = 0.25
"""Seconds of the model's time after which the next client has its turn: a slow request must not make the quick ones of others wait for its end."""

FIRST_TOGETHER, TOGETHER = 0.006, 0.02
"""Seconds of text that are sent as one message: of the first line, which somebody waits for, and of what follows."""

INVOKED, AUTOMATIC, GENERATE, EDIT, YIELDED, AHEAD, WARM = range(7)
BACKGROUND = YIELDED
"""From this rank on nobody waits for the answer."""

Ask = Complete | Warm | Generate | Rewrite
Steps = Iterator[Text | Done | None]


class Job:
    """One request on its way through the engine."""

    def __init__(self, ask: Ask, client: Hashable, arrived: float, deliver: Callable[[Frame], None]) -> None:
        self.ask = ask
        self.client = client
        self.arrived = arrived
        self.deliver = deliver
        """Takes the frames of the answer; called by whoever holds the event loop."""
        self.model = ask.model
        """Whom it is put to: what was asked for, unless that was replaced on the client's own wish."""
        self.ready = False
        """Its model is in memory."""
        self.steps: Steps | None = None
        """The runtime's generator, once it has begun."""
        self.began = 0.0
        self.yielded = False
        self.runtime: Any = None
        """Whose generator that is."""
        self.last: Frame | None = None
        """The message it ends with, once somebody has decided that it ends."""
        self._head = ""
        """The first line of the first candidate, while it grows."""
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
        """The share of the KV cache that it works in."""
        return self.model, self.ask.slot

    def saw(self, piece: Text, now: float) -> list[Text]:
        """Note what was generated; returns what is to be sent now: single tokens are not worth waking everybody for.

        The very first one is, where it is shown at once. With its first line complete, a request that said so goes on in the background.
        """
        first = not self._sent and not (isinstance(self.ask, Complete) and self.ask.yield_after_line)
        self._sent = self._sent or now
        before = self._held.get(piece.candidate)
        # the log-probability is that of all text so far: the later one holds
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
        """What was generated and not sent yet."""
        texts = list(self._held.values())
        self._held, self._sent = {}, now
        return texts


class Queue:
    """All requests that have not ended."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self._served: dict[Hashable, int] = {}
        """Client -> number of the turn that it had last."""
        self._turn = 0
        self._served_last: Job | None = None
        self._used = 0.0
        """Seconds of its turn that it has used."""

    def add(self, job: Job) -> list[Job]:
        """Take a request in; returns those that it makes superfluous (they are removed)."""
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
        """Background work that holds a slot which a waiting user needs."""
        needed = {job.place for job in self.jobs if job.waited_for and job.ready and job.steps is None}
        return [job for job in self.jobs if not job.waited_for and job.steps is not None and job.place in needed]

    def take(self) -> Job | None:
        """Who takes the next step. It stays in the queue."""
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
        """Account for a step's time."""
        if job is not self._served_last:
            self._served_last, self._used = job, 0.0
            self._turn += 1
            self._served[job.client] = self._turn
        self._used += seconds

    def leave(self, client: Hashable) -> list[Job]:
        """A client is gone; returns its requests (they are removed)."""
        gone = self.of(client)
        for job in gone:
            self.remove(job)
        self._served.pop(client, None)
        return gone

    def _whose(self, equals: Sequence[Job]) -> Hashable:
        """The client whose turn it is: the one that has it, while that is not used up, else the one that was served longest ago."""
        last = self._served_last
        if last in equals and last is not None and self._used < QUANTUM:
            return last.client
        waiting = dict.fromkeys(job.client for job in equals)
        if last in equals and last is not None and len(waiting) > 1:
            waiting.pop(last.client)
        return min(waiting, key=lambda client: self._served.get(client, 0))


def _supersedes(new: Job, old: Job) -> bool:
    """Whether `old` has become pointless: the same document asks anew."""
    if new.place != old.place or new.client != old.client:
        return False
    if isinstance(new.ask, Generate | Rewrite) or isinstance(old.ask, Generate | Rewrite):
        return type(new.ask) is type(old.ask)
    return new.waited_for or (not old.waited_for and new.rank <= old.rank)
