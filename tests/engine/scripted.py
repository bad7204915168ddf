"""Scripted models in a server inside the test process, for events that a real model does not produce at the right moment."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from infill.ask import Finish, Stop
from infill.engine import transport
from infill.engine.client import EngineClient
from infill.engine.launch import Engine as EngineProcess
from infill.engine.protocol import Changed, Complete, Done, Generate, ModelStatus, Text, Warm
from infill.engine.residents import Loading
from infill.engine.server import Server
from infill.errors import DoesNotFit, InfillError, UnknownModel
from infill.models.fit import Plan
from infill.models.store import ModelFile
from infill.settings import Engine

A, B = "local:a", "local:b"


class Scripted:
    """A model in memory; each step waits until the test allows it."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self._world = world
        self.aborted = threading.Event()
        """As in llama.cpp: set from any thread, cleared by the next step."""
        self.target_ms = 0.0
        self.forgotten: list[str] = []
        self.closed = False

    def complete(self, ask: Complete) -> Iterator[Text | Done | None]:
        yield from self._work(ask, ask.stop.max_tokens)

    def warm(self, ask: Warm) -> Iterator[Done | None]:
        for piece in self._work(ask, 100):
            yield piece if isinstance(piece, Done) else None

    def generate(self, ask: Generate) -> Iterator[Text | Done | None]:
        yield from self._work(ask, ask.stop.max_tokens)

    def _work(self, ask: Complete | Warm | Generate, steps: int) -> Iterator[Text | Done | None]:
        world, finished = self._world, False
        world.log.append(f"begin {self.name} {ask.slot}")
        try:
            for number in range(steps):
                self.aborted.clear()
                if world.trouble.get(ask.slot) is not None:
                    raise world.trouble[ask.slot]
                world.log.append(f"step {ask.slot}")
                self._compute(ask.slot)
                yield Text(id=ask.id, text=f"{self.name}{number}\n")
            finished = True
            yield Done(id=ask.id, finishes=(Finish(why="length"),))
        except GeneratorExit:
            if not finished:
                world.log.append(f"closed {ask.slot}")
            raise
        finally:
            world.tidied.append((ask.slot, threading.current_thread().name))

    def _compute(self, slot: str) -> None:
        """Wait for the gate, in place of llama_decode: until it opens or the step is aborted (unless the slot hangs)."""
        gate = self._world.gates.get(slot)
        while gate is not None and not gate.wait(0.002):
            if self.aborted.is_set() and slot not in self._world.hanging:
                self._world.log.append(f"aborted {slot}")
                return

    def idle_work(self) -> Iterator[None] | None:
        return self._world.idle.pop(self.name, None)

    def abort(self) -> None:
        self.aborted.set()

    def forget(self, slot: str) -> None:
        self.forgotten.append(slot)

    def status(self) -> ModelStatus:
        return ModelStatus(model=self.name)

    def limits(self) -> dict[str, float]:
        return {"prefix_tokens": 100.0}

    def save_slots(self, folder: Path) -> None:
        self._world.log.append(f"save {self.name}")

    def restore_slots(self, folder: Path) -> None:
        self._world.log.append(f"restore {self.name}")

    def close(self) -> None:
        self.closed = True
        self._world.log.append(f"close {self.name}")


class Turnstile(threading.Event):
    """A gate that lets one step through each time it is set."""

    def wait(self, timeout: float | None = None) -> bool:
        passed = super().wait(timeout)
        if passed:
            self.clear()
        return passed


class World:
    """The state of the scripted models; tests change it."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        """Slot -> the gate of its steps."""
        self.hanging: set[str] = set()
        self.trouble: dict[str, Exception] = {}
        """Slot -> the exception of its next step."""
        self.idle: dict[str, Iterator[None]] = {}
        self.broken: dict[str, InfillError] = {}
        """Model -> the reason why it cannot be loaded."""
        self.loading: dict[str, threading.Event] = {}
        """Model -> the gate of its loading."""
        self.room = 2
        """Number of models that fit into memory."""
        self.tidied: list[tuple[str, str]] = []
        """Slots after their clean-up, and the thread that did it."""
        self.largest_context = 8192
        self.loaded: list[Scripted] = []
        self.hung = asyncio.Event()
        self.server: Server
        self._clients: list[EngineClient] = []

    def gate(self, slot: str) -> threading.Event:
        """Make a slot's steps wait for this event."""
        return self.gates.setdefault(slot, threading.Event())

    async def client(self, name: str = "test", told: list[Changed] | None = None) -> EngineClient:
        where = transport.place()
        connection, token = await transport.connect(where)
        client = EngineClient(connection, EngineProcess(where), None if told is None else told.append)
        await client.greet(name, token)
        self._clients.append(client)
        return client

    async def until(self, condition, seconds: float = 5.0) -> None:
        """Bounded wait for something that another thread does."""
        for _ in range(int(seconds / 0.002)):
            if condition():
                return
            await asyncio.sleep(0.002)
        raise AssertionError(f"it did not happen in time: {self.log}")

    async def logged(self, entry: str) -> None:
        await self.until(lambda: entry in self.log)

    def refresh_for_ever(self, name: str) -> Iterator[None]:
        """Endless idle work; each step ends only when it is aborted."""
        aborted = next(model for model in self.loaded if model.name == name).aborted
        try:
            while True:
                aborted.clear()
                self.log.append("refresh")
                if aborted.wait(5):
                    self.log.append("refresh aborted")
                yield
        finally:
            self.log.append("refresh closed")

    # ---- functions passed to the server

    def locate(self, model: str) -> ModelFile:
        if not model.startswith("local:"):
            raise UnknownModel(f"There is no model {model!r}.")
        return ModelFile(id=model, title=model.removeprefix("local:").title(), path=Path("/nowhere"))

    def load(self, file: ModelFile, plan: Plan, progress) -> Scripted:
        self.log.append(f"load {file.id}")
        gate = self.loading.get(file.id)
        while gate is not None and not gate.wait(0.002):
            if not progress(0.5):
                raise RuntimeError("stopped")
        if plan.context > self.largest_context:
            raise DoesNotFit("There is not enough memory for the context.")
        if file.id in self.broken:
            raise self.broken[file.id]
        self.loaded.append(Scripted(file.id, self))
        return self.loaded[-1]

    def fits_beside(self, file: ModelFile, plan: Plan, others: list[ModelFile]) -> bool:
        return len(others) < self.room

    def step_down(self, file: ModelFile, plan: Plan, engine: Engine) -> tuple[Plan, str] | None:
        if plan.context <= self.largest_context:
            return None
        return Plan(context=plan.context // 2), f"The context was shortened to {plan.context // 2} tokens."

    def jobs(self) -> list[object]:
        """The server's unfinished jobs."""
        return list(self.server._worker.jobs())

    async def aclose(self) -> None:
        for client in self._clients:
            await client.aclose()


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[tuple[World, Server]]:
    """A server in this process with scripted models."""
    world = World()
    where = transport.place()
    where.directory.mkdir(parents=True, exist_ok=True)
    loop = asyncio.get_running_loop()
    how = Loading(world.locate, lambda file, engine: Plan(), world.load, world.fits_beside, world.step_down)
    server = Server(where, "", how, lambda: loop.call_soon(world.hung.set))
    world.server = server
    ready = asyncio.Event()
    task = asyncio.create_task(server.run(lambda port: ready.set()))
    await ready.wait()
    try:
        yield world, server
    finally:
        await world.aclose()
        for gate in itertools.chain(world.gates.values(), world.loading.values()):
            gate.set()
        server.leave("the test is over")
        await asyncio.wait_for(task, 10)


def ask(slot: str = "main.py", model: str = A, tokens: int = 2, deadline_ms: int = 10_000, **more) -> Complete:
    return Complete(id=0, model=model, slot=slot, prefix="", suffix="", stop=Stop(max_tokens=tokens, deadline_ms=deadline_ms), **more)


async def answer(client: EngineClient, question: Complete | Generate) -> tuple[str, Done]:
    text = ""
    stream = client.generate(question) if isinstance(question, Generate) else client.complete(question)
    async with contextlib.aclosing(stream) as frames:
        async for frame in frames:
            if isinstance(frame, Done):
                return text, frame
            text += frame.text
    raise AssertionError("an answer without an end")


def begin(client: EngineClient, question: Complete | Generate) -> asyncio.Task[tuple[str, Done]]:
    return asyncio.ensure_future(answer(client, question))
