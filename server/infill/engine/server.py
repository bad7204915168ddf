"""The engine's server: accepts and authenticates clients, and passes their requests to the worker. The composition root of the engine process.

All code in this module runs on the event loop and never computes, so it can answer, cancel and report the state during a computation. An invalid
message ends its client's connection; a model's failure ends its request. The only message that ends the engine is `Shutdown`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

from infill import settings as all_settings
from infill.ask import Finish
from infill.engine import handshake, protocol, transport
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
    FromClient,
    Generate,
    Hello,
    Load,
    Prove,
    Rewrite,
    Shutdown,
    State,
    Status,
    Unload,
    Warm,
    Welcome,
)
from infill.engine.queue import Ask, Job
from infill.engine.residents import Loading, Residents, in_thread
from infill.engine.status import Reporter
from infill.engine.transport import BadFrame, Connection
from infill.engine.worker import Worker, failed
from infill.errors import InfillError, ProviderError, ProviderUnavailable, RequestError

HANDSHAKE = 5.0
"""Seconds that a new connection has for the handshake."""
GRACE = 60.0
"""Seconds before a disconnected client's slots can be reused: after a restart, an editor finds its documents evaluated."""
OVERDUE = 0.25
"""Seconds past its deadline before the server ends a request. A model checks the time itself, but only during its steps."""
PENDING = 128
"""Maximum number of open requests of one client, of all kinds; more are an error of the client."""
MOST_NAMES = 4096
"""Maximum number of document and model names stored per client."""
ALONE_MINUTES = 10.0
"""With `idleMinutes` 0 the engine runs while it has clients, and this much longer."""
PROGRESS = 0.1
"""Seconds between two messages about the progress of loading."""
LEAVING = 5.0
"""Seconds for a graceful shutdown."""

log = logging.getLogger(__name__)


class Client:
    """A connected client."""

    def __init__(self, key: int, name: str, connection: Connection[FromClient]) -> None:
        self.key = key
        self.name = name
        self.connection = connection
        self.jobs: dict[int, tuple[Job, asyncio.TimerHandle]] = {}
        """Requests that have not ended, each with the timer for its deadline."""
        self.slots: set[str] = set()
        self.asked: dict[str, float] = {}
        """Model -> time of its last request."""
        self.instead: dict[str, str] = {}
        """Model -> the model that replaced it by this client's choice."""

        self.errands = 0
        """Number of unanswered `Load`, `Unload` and `AskStatus` requests."""

    def uses(self, slot: str, model: str, now: float) -> None:
        """Record the slot and model of a request; the oldest names are dropped beyond the limit."""
        if slot:
            self.slots.add(slot)
        while len(self.slots) > MOST_NAMES:
            self.slots.pop()
        self.asked.pop(model, None)
        self.asked[model] = now
        while len(self.asked) > MOST_NAMES:
            self.asked.pop(next(iter(self.asked)))

    def send(self, frame: Frame) -> None:
        """Send a frame. If the end of a request cannot be encoded, send an error that can."""
        try:
            self.connection.send(frame)
        except (BadFrame, UnicodeEncodeError) as exc:
            log.warning("A message could not be sent (%s).", type(exc).__name__)
            if isinstance(frame, Done | Failed | Status):
                self.connection.send(failed(frame.id, ProviderError(f"The engine's answer cannot be sent ({type(exc).__name__}).")))


class Server:
    """The engine's event-loop side."""

    def __init__(self, where: transport.Place, token: str, how: Loading, on_hung: Callable[[], None]) -> None:
        self._where, self._token = where, token
        self._loop = asyncio.get_running_loop()
        self._keys = itertools.count(1)
        self._clients: dict[int, Client] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._fetching: set[str] = set()
        self._settings = all_settings.Engine()
        self._worker = Worker(self._loop, on_hung, lambda: self._settings.refresh and bool(self._clients))
        self._residents = Residents(self._worker, how, self._used_by_others, self._progress)
        self._reporter = Reporter(self._worker, self._residents)
        self._state: State = "idle"
        self._shown = 0.0
        self._active = time.monotonic()
        """When the last request arrived or ended."""
        self._alarm: asyncio.TimerHandle | None = None
        self._reason: asyncio.Future[str] = self._loop.create_future()

    async def run(self, ready: Callable[[int], None]) -> None:
        """Serve until the engine stops. Calls `ready` with the port (0 with a Unix socket) once clients can connect."""
        listener, port = await transport.listen(self._where, self._accept)
        ready(port)
        self._look_at_the_clock()
        reason = await self._reason
        listener.close()
        await self._depart(reason)

    def leave(self, reason: str) -> None:
        """Shut down gracefully; `run` then returns."""
        if not self._reason.done():
            self._reason.set_result(reason)

    # ---- connections

    async def _accept(self, connection: Connection[FromClient]) -> None:
        client: Client | None = None
        try:
            client = await self._greet(connection)
            while client is not None and (message := await connection.receive()) is not None:
                # requests that arrive during the exit are ignored: after the farewell, the client sends them to a new engine
                if not self._reason.done():
                    self._handle(client, message)
        except BadFrame as exc:
            log.warning("A connection was ended, since it sent what is no message: %s", exc)
            connection.send(failed(0, RequestError(f"This is no message of the engine's protocol: {exc}.")))
        finally:
            if client is not None:
                self._gone(client)
            await connection.aclose()

    async def _greet(self, connection: Connection[FromClient]) -> Client | None:
        """Do the handshake. None for a refused client, after the reason was sent."""
        if transport.is_another_user(connection.peer_user()):
            _refuse(connection, "This engine belongs to another user.")
            return None
        try:
            hello = await asyncio.wait_for(self._hello(connection), HANDSHAKE)
        except asyncio.TimeoutError:
            return None
        if hello is None:
            return None
        client = Client(next(self._keys), hello.client, connection)
        self._clients[client.key] = client
        self._worker.wishes_changed()
        client.send(Welcome(version=protocol.VERSION, pid=os.getpid()))
        client.send(Changed(state=self._state, model=self._about()))
        return client

    async def _hello(self, connection: Connection[FromClient]) -> Hello | None:
        """The `Hello` of a client that is accepted; None if there is none, or it was refused."""
        hello = await connection.receive()
        if hello is None:
            return None
        why = ""
        if not isinstance(hello, Hello):
            why = "The first message has to be a greeting."
        elif hello.version != protocol.VERSION:
            why = f"The engine speaks version {protocol.VERSION} of its protocol, the editor's server version {hello.version}."
        elif self._token and not await self._proven(connection, hello):
            why = "The client did not prove that it knows the engine's secret token."
        if why:
            _refuse(connection, why)
        return hello if isinstance(hello, Hello) and not why else None

    async def _proven(self, connection: Connection[FromClient], hello: Hello) -> bool:
        """Prove that this is the engine, and let the client prove that it can read the user's own files."""
        nonce = handshake.nonce()
        connection.send(Challenge(nonce=nonce, proof=handshake.proof(self._token, "engine", hello.nonce, nonce)))
        answer = await connection.receive()
        return isinstance(answer, Prove) and handshake.proves(answer.proof, self._token, "client", hello.nonce, nonce)

    def _gone(self, client: Client) -> None:
        """A client disconnected: its requests end now, its slots are released later."""
        self._clients.pop(client.key, None)
        self._worker.leave(client.key)
        if not self._clients:
            self._residents.stop_loading()
            self._worker.wishes_changed()
        if client.slots:
            self._loop.call_later(GRACE, self._release, client.slots)
        self._look_at_the_clock()

    def _release(self, slots: set[str]) -> None:
        """Release slots that no connected client uses."""
        unused = slots.difference(*(client.slots for client in self._clients.values()))
        for resident in self._residents.all():
            for slot in unused:
                self._worker.call(lambda runtime=resident.runtime, slot=slot: runtime.forget(slot))  # type: ignore[misc]

    # ---- messages

    def _handle(self, client: Client, message: FromClient) -> None:
        """Handle a message. An error ends only this request, unless the message violates the protocol."""
        try:
            self._dispatch(client, message)
        except BadFrame:
            raise
        except Exception as exc:
            log.exception("A message could not be handled.")
            number = getattr(message, "id", 0)
            if number in client.jobs:
                self._worker.stop(client.jobs[number][0], failed(number, exc))
            elif number:
                client.send(failed(number, exc))

    def _dispatch(self, client: Client, message: FromClient) -> None:
        if isinstance(message, Complete | Warm | Generate | Rewrite):
            self._ask(client, message)
        elif isinstance(message, Cancel):
            self._worker.cancel(client.key, message.id)
        elif isinstance(message, Forget):
            client.slots.discard(message.slot)
            self._release({message.slot})
        elif isinstance(message, Configure):
            self._configure(message)
        elif isinstance(message, AskStatus):
            self._answer(client, message, self._status(message))
        elif isinstance(message, Load):
            self._answer(client, message, self._load(client, message))
        elif isinstance(message, Unload):
            self._answer(client, message, self._unload(message))
        elif isinstance(message, Shutdown):
            client.send(Done(id=message.id))
            self.leave("it was asked to")
        else:
            raise BadFrame("a second greeting")

    def _answer(self, client: Client, message: Load | Unload | AskStatus, work: Coroutine[Any, Any, Frame]) -> None:
        """Do something slow, then send exactly one response, even if `work` raises."""
        client.errands += 1

        async def answer() -> None:
            try:
                client.send(await work)
            except Exception as exc:
                if not isinstance(exc, InfillError):
                    log.exception("A request failed.")
                client.send(failed(message.id, exc))
            finally:
                client.errands -= 1
            self._tell_state()

        self._spawn(answer())
        self._must_not_ask_too_much(client)

    def _must_not_ask_too_much(self, client: Client) -> None:
        if len(client.jobs) + client.errands > PENDING:
            raise BadFrame("too many requests at once")

    def _ask(self, client: Client, ask: Ask) -> None:
        if ask.id in client.jobs:
            raise BadFrame("a request's number that is in use")
        now = self._active = time.monotonic()
        job = Job(ask, client.key, now, lambda frame: self._deliver(client, job, frame))
        if not isinstance(ask, Generate | Rewrite):
            job.model = client.instead.get(ask.model, ask.model)
        client.jobs[ask.id] = job, self._loop.call_later(job.stop.deadline_ms / 1000 + OVERDUE, self._overdue, job)
        self._must_not_ask_too_much(client)
        client.uses(ask.slot, job.model, now)
        resident = self._residents.find(job.model)
        if resident is None and job.waited_for:
            # a model loaded with other settings than the current ones gets no further requests
            self._worker.retire(job.model)
        self._worker.submit(job)
        if resident is not None:
            resident.used = now
        elif job.waited_for:
            self._fetch(job.model, client)
        elif job.model not in self._fetching:
            self._worker.stop(job, Done(id=ask.id, model=job.model, notes=("its model is loaded by the first completion request",)))
        self._tell_state()

    def _deliver(self, client: Client, job: Job, frame: Frame) -> None:
        if isinstance(frame, Done | Failed):
            _, alarm = client.jobs.pop(job.ask.id)
            alarm.cancel()
            self._active = time.monotonic()
        client.send(frame)
        self._tell_state()

    def _overdue(self, job: Job) -> None:
        """A request's deadline has passed: it ends with the text so far."""
        if job.runtime is None and self._residents.find(job.model) is None:
            self._worker.stop(job, failed(job.ask.id, ProviderUnavailable("The model is still being loaded.")))
        else:
            self._worker.stop(job, Done(id=job.ask.id, model=job.model, finishes=(Finish(why="deadline"),), notes=("out of time",)))

    def _configure(self, message: Configure) -> None:
        resolved, problems = all_settings.resolve({"engine": message.options})
        for problem in problems:
            log.warning("%s", problem)
        self._settings = resolved.engine
        self._residents.configure(resolved.engine, float(message.latency_target))
        self._worker.wishes_changed()
        self._look_at_the_clock()

    async def _status(self, message: AskStatus) -> Status:
        names = [other.name for other in self._clients.values()]
        return await self._reporter.status(message, self._state, names, time.monotonic() - self._active)

    # ---- models

    def _fetch(self, model: str, client: Client) -> None:
        """Load a requested model, once for all requests that wait for it."""
        if model not in self._fetching:
            self._fetching.add(model)
            self._spawn(self._have(model, client))

    async def _have(self, model: str, client: Client) -> None:
        try:
            await self._residents.ensure(model, client.key)
        except Exception as exc:
            if not isinstance(exc, InfillError):
                log.exception("A model could not be loaded.")
            for job in self._worker.jobs(model):
                if job.runtime is None:
                    self._worker.stop(job, failed(job.ask.id, exc))
            # an unload during the load is not an error for clients
            for other in () if isinstance(exc, ProviderUnavailable) else self._clients.values():
                if model in other.asked:
                    told = failed(0, exc)
                    other.send(Changed(state="problem", model=model, message=f"{told.message} {told.hint}".strip()))
        finally:
            self._fetching.discard(model)
        self._tell_state()

    async def _load(self, client: Client, message: Load) -> Done:
        self._active = time.monotonic()
        client.uses("", message.model, self._active)
        await self._residents.choose(message.model, client.key, lambda gone: self._switched(client, message.model, gone))
        return Done(id=message.id, model=message.model)

    def _switched(self, client: Client, model: str, gone: list[str]) -> None:
        """A chosen model has replaced others. The client that chose it uses it from now on; clients of the others are notified."""
        client.instead.pop(model, None)
        for old in gone:
            client.instead[old] = model
            for job in self._worker.jobs(old):
                if job.client == client.key and job.runtime is None and not isinstance(job.ask, Generate | Rewrite):
                    self._worker.retarget(job, model)
            text = f"{old} was unloaded: another window chose {model}, and there is not enough memory for both."
            for other in self._clients.values():
                if other is not client and old in other.asked:
                    other.send(Changed(state="problem", model=old, message=text))

    async def _unload(self, message: Unload) -> Done:
        await self._residents.unload(message.model)
        return Done(id=message.id, model=message.model)

    def _used_by_others(self, model: str, key: object) -> bool:
        since = time.monotonic() - (self._settings.idle_minutes or ALONE_MINUTES) * 60
        return any(client.key != key and client.asked.get(model, 0.0) > since for client in self._clients.values())

    # ---- notifications

    def _progress(self, model: str, share: float, message: str) -> None:
        """Report the progress of loading."""
        now = self._active = time.monotonic()
        if self._state != "loading" or message or now - self._shown > PROGRESS:
            self._state, self._shown = "loading", now
            self._broadcast(Changed(state="loading", model=model, progress=share, message=message))

    def _tell_state(self) -> None:
        state: State = "idle"
        if self._residents.loading:
            state = "loading"
        elif any(job.waited_for for client in self._clients.values() for job, _ in client.jobs.values()):
            state = "generating"
        elif self._residents.all():
            state = "ready"
        if state != self._state:
            self._state = state
            self._broadcast(Changed(state=state, model=self._about()))

    def _about(self) -> str:
        """The model that the state is about: the one that is being loaded, else the one used last."""
        newest = max(self._residents.all(), key=lambda resident: resident.used, default=None)
        return self._residents.loading or (newest.file.id if newest is not None else "")

    def _broadcast(self, message: Frame) -> None:
        for client in list(self._clients.values()):
            client.send(message)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("A task of the engine failed.", exc_info=exc)

    # ---- exit

    def _look_at_the_clock(self) -> None:
        """Unload models or exit if the engine was idle long enough; else check again later."""
        if self._alarm is not None:
            self._alarm.cancel()
        minutes = self._settings.idle_minutes or (0.0 if self._clients else ALONE_MINUTES)
        busy = bool(self._residents.loading or self._tasks or any(client.jobs for client in self._clients.values()))
        left = self._active + minutes * 60 - time.monotonic()
        if minutes and left <= 0 and not busy:
            self.leave(f"no request arrived for {minutes:g} minutes")
            return
        if not self._clients and not self._can_be_found():
            self.leave("its directory was removed, so that no client can find it")
            return
        if minutes:
            self._spawn(self._residents.unload_unused(time.monotonic() - minutes * 60))
        self._alarm = self._loop.call_later(min(60.0, max(0.05, left)) if minutes else 60.0, self._look_at_the_clock)

    def _can_be_found(self) -> bool:
        try:
            return self._where.door.exists()
        except OSError:  # its directory cannot be read at the moment
            return True

    async def _depart(self, reason: str) -> None:
        """End all requests and unload the models, then send a farewell to every client."""
        self._residents.stop_loading()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._residents.unload(), LEAVING)
        await in_thread(lambda: self._worker.finish(LEAVING))
        await asyncio.sleep(0)  # the worker's last messages
        self._broadcast(Farewell(reason=reason))
        await asyncio.gather(*(client.connection.aclose() for client in list(self._clients.values())))
        for task in list(self._tasks):
            task.cancel()


def _refuse(connection: Connection[FromClient], why: str) -> None:
    connection.send(failed(0, ProviderUnavailable(why, "`infill engine stop` ends it; the next completion starts the right one.")))
