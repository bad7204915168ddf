"""The engine's status, for `infill engine status`. Measures the process; changes nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable

import psutil

from infill import __version__
from infill.engine.protocol import AskStatus, ModelStatus, State, Status
from infill.engine.residents import Residents
from infill.engine.worker import Worker

log = logging.getLogger(__name__)

PATIENCE = 0.3
"""Seconds to wait for a busy model's status; after that its last one is shown."""


class Reporter:
    """Collects the status of the process on request."""

    def __init__(self, worker: Worker, residents: Residents) -> None:
        self._worker = worker
        self._residents = residents
        self._process = psutil.Process()
        self._started = time.monotonic()
        self._known: dict[str, ModelStatus] = {}

    async def status(self, ask: AskStatus, state: State, clients: Iterable[str], idle_seconds: float) -> Status:
        residents = self._residents.all() if ask.models else []
        models = [await self._model(resident.file.id, resident.runtime.status) for resident in residents]
        return Status(
            id=ask.id,
            pid=os.getpid(),
            version=__version__,
            state=state,
            models=tuple(models),
            resident_bytes=self._process.memory_info().rss,
            uptime_seconds=time.monotonic() - self._started,
            idle_seconds=idle_seconds,
            clients=tuple(clients),
            waiting=sum(job.waited_for for job in self._worker.jobs()),
            background=self._worker.background(),
            loading=self._residents.loading,
        )

    async def _model(self, model: str, ask: Callable[[], ModelStatus]) -> ModelStatus:
        """A model's current status, or its last one if it is busy."""
        try:
            self._known[model] = await asyncio.wait_for(self._worker.call(ask), PATIENCE)
        except asyncio.TimeoutError:
            log.debug("%s is too busy to say how it is.", model)
        except Exception:
            log.exception("A model cannot say how it is.")
        return self._known.get(model, ModelStatus(model=model))
