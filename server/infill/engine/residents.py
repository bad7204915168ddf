"""Holds the models in memory: loads them on first use, several at once while they fit, and unloads idle ones.

                   fits next to the others                    does not fit
    requested      loaded; the others stay                    models that no other client uses are unloaded, else an error
    chosen         loaded; the response comes after one       the others are unloaded first, and loaded again if the new model fails;
                   token; until then the others answer        their clients are notified

Independent of what a model computes, and of the requests' contents. One load runs at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import shutil
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from infill import paths
from infill.ask import Stop
from infill.engine.protocol import Complete
from infill.engine.worker import Loaded, Worker, settle
from infill.errors import DoesNotFit, InfillError, ProviderError, ProviderUnavailable
from infill.models.fit import Plan
from infill.models.store import ModelFile
from infill.settings import Engine

FINISH = 10.0
"""Seconds that running requests have to end before their model is unloaded."""
REMEMBER = 20.0
"""Seconds before a model that failed to load is tried again, unless it is chosen: every keystroke would wait for the same failure."""
MOST_FAILURES = 64
LOOKING = 60.0
"""Seconds for finding a file and planning how it is loaded."""
LOADING = 900.0
"""Seconds for loading a model and its first token: enough for the largest from a slow disk."""
TRIAL = Stop(max_tokens=1, deadline_ms=60_000, ignore_end=True)

log = logging.getLogger(__name__)
Value = TypeVar("Value")
Progress = Callable[[float], bool]


class Loading(msgspec.Struct, frozen=True):
    """The functions for loading models, supplied by the composition root."""

    locate: Callable[[str], ModelFile]
    plan: Callable[[ModelFile, Engine], Plan]
    load: Callable[[ModelFile, Plan, Progress], Loaded]
    fits_beside: Callable[[ModelFile, Plan, list[ModelFile]], bool]
    """Whether a model can be loaded while the others stay in memory."""
    step_down: Callable[[ModelFile, Plan, Engine], tuple[Plan, str] | None]
    """The next smaller plan for a model that did not fit after all, and the message for the user."""


class Resident(msgspec.Struct):
    """A model in memory."""

    file: ModelFile
    runtime: Loaded
    settings: Engine
    """The settings at its loading."""
    used: float


class Residents:
    """All models in memory."""

    def __init__(
        self, worker: Worker, how: Loading, used_by_others: Callable[[str, object], bool], on_progress: Callable[[str, float, str], None]
    ) -> None:
        self._worker = worker
        self._how = how
        self._used_by_others = used_by_others
        """Whether a client other than this one requested that model recently."""
        self._on_progress = on_progress
        self._here: dict[str, Resident] = {}
        self._failures: dict[str, tuple[float, InfillError]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._stop_loading = False
        self.settings = Engine()
        """Settings for models that are loaded from now on."""
        self._target_ms = 400.0
        self.loading = ""
        """The model that is being loaded; empty if none."""

    def all(self) -> list[Resident]:
        return list(self._here.values())

    def find(self, model: str) -> Resident | None:
        """The model, if it is in memory and was loaded with equivalent settings."""
        resident = self._here.get(model)
        return resident if resident is not None and _loads_alike(resident.settings, self.settings) else None

    async def ensure(self, model: str, client: object) -> None:
        """Load a model for a request. Raises ModelError."""
        known = self._failures.get(model)
        if known is not None and time.monotonic() < known[0] + REMEMBER:
            raise known[1]
        async with self._one_at_a_time:
            if self.find(model) is None and self._worker.jobs(model):
                await self._fetch(model, client, chosen=False)

    async def choose(self, model: str, client: object, then: Callable[[list[str]], None]) -> None:
        """Load a model because the user chose it. `then` receives the unloaded models, before new requests for them can arrive.

        Raises ModelError, and then the previous models are restored.
        """
        async with self._one_at_a_time:
            then([] if self.find(model) is not None else await self._fetch(model, client, chosen=True))

    async def unload(self, model: str = "") -> None:
        """Unload a model, or all. Running requests end with the text so far, and the loading of the model stops."""
        if model in ("", self.loading):
            self.stop_loading()
        async with self._one_at_a_time:
            for resident in self.all():
                if model in ("", resident.file.id):
                    self._worker.detach(resident.file.id)
                    self._worker.stop_all(resident.file.id)
                    await self._close(resident)

    async def unload_unused(self, since: float) -> None:
        """Unload the models without a request since then."""
        for resident in self.all():
            if resident.used < since and not self._worker.jobs(resident.file.id):
                await self.unload(resident.file.id)

    def configure(self, settings: Engine, target_ms: float) -> None:
        """Set the user's settings for models that are loaded later, and the latency target also for loaded ones."""
        if self.settings.save_slots and not settings.save_slots:
            shutil.rmtree(slots_directory(), ignore_errors=True)
        self.settings, self._target_ms = settings, target_ms
        for resident in self.all():
            resident.runtime.target_ms = target_ms

    def stop_loading(self) -> None:
        """Stop the current load: no client needs its model."""
        self._stop_loading = True

    # ---- loading, one at a time

    async def _fetch(self, model: str, client: object, *, chosen: bool) -> list[str]:
        file = await self._part(model, lambda: self._how.locate(model))
        gone: list[ModelFile] = []
        if (stale := self._here.get(model)) is not None:
            await self._evict(stale)
            gone.append(stale.file)
        try:
            resident = await self._with_room(file, client, chosen, gone)
        except InfillError as exc:
            if not self._stop_loading:  # a cancelled load is not a failure: the next request loads again
                self._failures[model] = time.monotonic(), exc
                while len(self._failures) > MOST_FAILURES:
                    self._failures.pop(next(iter(self._failures)))
            for old in reversed(gone):
                await self._bring_back(old)
            raise
        self._failures.pop(model, None)
        self._admit(resident)
        return [old.id for old in gone if old.id != model]

    async def _with_room(self, file: ModelFile, client: object, chosen: bool, gone: list[ModelFile]) -> Resident:
        """Load a model next to the others; while it does not fit, unload one that may be unloaded."""
        plan = await self._part(file.title, lambda: self._how.plan(file, self.settings))
        while isinstance(outcome := await self._attempt(file, plan, chosen), DoesNotFit):
            if (victim := self._may_go(client, chosen)) is not None:
                await self._evict(victim)
                gone.append(victim.file)
                plan = await self._part(file.title, lambda: self._how.plan(file, self.settings))  # there is more room now, above all on a GPU
            elif not self._here and (smaller := await self._smaller(file, plan)) is not None:
                plan, told = smaller
                self._on_progress(file.id, 0.0, told)
            else:
                raise outcome
        return outcome

    async def _smaller(self, file: ModelFile, plan: Plan) -> tuple[Plan, str] | None:
        return await self._part(file.title, lambda: self._how.step_down(file, plan, self.settings))

    async def _attempt(self, file: ModelFile, plan: Plan, chosen: bool) -> Resident | DoesNotFit:
        others = [resident.file for resident in self.all()]
        try:
            if others and not await self._part(file.title, lambda: self._how.fits_beside(file, plan, others)):
                return self._no_room(file)
            return await self._load(file, plan, trial=chosen)
        except DoesNotFit as exc:
            return exc

    def _no_room(self, file: ModelFile) -> DoesNotFit:
        titles = " and ".join(resident.file.title for resident in self.all())
        message = f"{file.title} does not fit into memory beside {titles}, which another window uses."
        return DoesNotFit(message, "Choose it in this window to let it take that place.")

    def _may_go(self, client: object, chosen: bool) -> Resident | None:
        oldest_first = sorted(self.all(), key=lambda resident: resident.used)
        unused = [resident for resident in oldest_first if not self._used_by_others(resident.file.id, client)]
        return next(iter(unused + (oldest_first if chosen else [])), None)

    async def _load(self, file: ModelFile, plan: Plan, *, trial: bool) -> Resident:
        self.loading, self._stop_loading = file.id, False
        loop, settings = asyncio.get_running_loop(), self.settings

        awaited = True

        def progress(share: float) -> bool:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._on_progress, file.id, share, "")
            return awaited and not self._stop_loading

        def load() -> Loaded:
            runtime = self._how.load(file, plan, progress)
            runtime.target_ms = self._target_ms
            if settings.save_slots:
                runtime.restore_slots(slots_directory())
            try:
                if trial:
                    try_out(runtime, file.id)
                if not awaited:
                    raise ProviderUnavailable(f"{file.title} was loaded too late.")
            except BaseException:
                runtime.close()
                raise
            return runtime

        self._on_progress(file.id, 0.0, "")
        try:
            runtime = await self._part(file.title, load, LOADING)
            if restricted := runtime.status().restricted:
                self._on_progress(file.id, 1.0, restricted)
        finally:
            self.loading, awaited = "", False
        return Resident(file, runtime, settings, time.monotonic())

    async def _part(self, title: str, function: Callable[[], Value], seconds: float = LOOKING) -> Value:
        """Run a part of loading in a thread, with its own deadline. Third-party errors are mapped to InfillError."""
        try:
            return await asyncio.wait_for(in_thread(function), seconds)
        except InfillError:
            raise
        except asyncio.TimeoutError as exc:
            raise ProviderUnavailable(
                f"{title} could not be loaded within {seconds:.0f} s.", "Is its disk slow, or a network drive not reachable?"
            ) from exc
        except MemoryError as exc:
            raise DoesNotFit(f"There is not enough memory for {title}.", "Choose a smaller model.") from exc
        except Exception as exc:
            if self._stop_loading:
                raise ProviderUnavailable(f"The loading of {title} was stopped.") from exc
            log.exception("A model could not be loaded.")
            message = f"{title} could not be loaded: an unexpected error ({type(exc).__name__})."
            raise ProviderError(message, "The engine's last lines say more (`infill engine status`).") from exc

    def _admit(self, resident: Resident) -> None:
        self._here[resident.file.id] = resident
        self._worker.attach(resident.file.id, resident.runtime)

    async def _bring_back(self, file: ModelFile) -> None:
        """Load a model again that was unloaded for one that then failed."""
        try:
            plan = await self._part(file.title, lambda: self._how.plan(file, self.settings))
            self._admit(await self._load(file, plan, trial=False))
        except InfillError:
            log.exception("The former model could not be brought back; the next request tries again.")

    async def _evict(self, resident: Resident) -> None:
        """Finish the requests that users wait for, then unload the model. Requests that have not begun wait for the next model."""
        deadline = time.monotonic() + FINISH
        self._worker.retire(resident.file.id)
        while self._worker.working_for(resident.runtime) and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(asyncio.TimeoutError):  # `detach` ends a step that hangs
                await asyncio.wait_for(self._worker.call(_nothing), left)
        self._worker.detach(resident.file.id)
        await self._close(resident)

    async def _close(self, resident: Resident) -> None:
        self._here.pop(resident.file.id, None)
        try:
            if self.settings.save_slots:
                await self._worker.call(lambda: resident.runtime.save_slots(slots_directory()))
        finally:
            await self._worker.call(resident.runtime.close)
        await in_thread(_trim)


def try_out(runtime: Loaded, model: str) -> None:
    """Generate one token, as proof that the model works. Blocks."""
    complete = Complete(id=0, model=model, slot="trial", prefix="def main():\n    ", suffix="\n", stop=TRIAL)
    for _ in runtime.complete(complete):
        pass
    runtime.forget("trial")


def _trim() -> None:
    """Return a model's memory to the system: Python's reference cycles, and free memory that the C library keeps (tens of megabytes)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError, TypeError):  # exists in glibc only
        ctypes.CDLL(None).malloc_trim(0)


def slots_directory() -> Path:
    """Where evaluated documents are stored when a model is unloaded, if `engine.saveSlots` is on."""
    return paths.state_directory() / "slots"


def _loads_alike(one: Engine, other: Engine) -> bool:
    """Whether the settings are equal as far as they affect loading."""
    names = ("threads", "context_size", "batch_size", "gpu_layers", "flash_attention", "kv_type")
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _nothing() -> None: ...


def in_thread(function: Callable[[], Value]) -> Awaitable[Value]:
    """Run a slow function in its own daemon thread, which does not delay the exit of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Value] = loop.create_future()

    def run() -> None:
        value, error = None, None
        try:
            value = function()
        except Exception as exc:
            error = exc
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, future, value, error)

    threading.Thread(target=run, name="loading", daemon=True).start()
    return future
