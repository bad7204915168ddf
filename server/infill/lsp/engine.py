"""The commands about the provider: `infill.status`, `infill.loadModel`, `infill.unloadModel`. Starts an engine only to load a model."""

from __future__ import annotations

from typing import Any

import msgspec

from infill.engine.protocol import ModelStatus
from infill.engine.protocol import Status as EngineStatus
from infill.errors import InfillError
from infill.lsp.status import Status
from infill.providers.local import LocalProvider


class ModelArgument(msgspec.Struct, frozen=True):
    """A model; empty: the one in use."""

    model: str = ""


class EngineCommands:
    """What can be asked of the engine."""

    def __init__(self, local: LocalProvider, status: Status) -> None:
        self._local = local
        self._status = status

    async def status(self, argument: Any) -> dict[str, Any]:
        """The line of `infill/status`, and the engine's own account of itself (null while there is none)."""
        try:
            engine = await self._local.status()
        except InfillError:
            engine = None
        return {**msgspec.structs.asdict(self._status.line), "engine": _account(engine) if engine is not None else None}

    async def load(self, argument: ModelArgument) -> dict[str, str]:
        await self._local.load(argument.model)
        return {"model": argument.model, "message": "The model is in memory."}

    async def unload(self, argument: ModelArgument) -> dict[str, str]:
        await self._local.unload(argument.model)
        return {"model": argument.model, "message": "The memory was given back."}


def _account(engine: EngineStatus) -> dict[str, Any]:
    """The engine as JSON for editors: every field, also those that are empty."""
    return {
        "pid": engine.pid,
        "version": engine.version,
        "state": engine.state,
        "models": [_model(model) for model in engine.models],
        "residentBytes": engine.resident_bytes,
        "uptimeSeconds": engine.uptime_seconds,
        "idleSeconds": engine.idle_seconds,
        "clients": list(engine.clients),
        "waiting": engine.waiting,
        "background": engine.background,
    }


def _model(model: ModelStatus) -> dict[str, Any]:
    return {
        "model": model.model,
        "plan": model.plan,
        "context": model.context,
        "evaluatePerSecond": model.evaluate_per_second,
        "generatePerSecond": model.generate_per_second,
        "slots": [{"slot": slot.slot, "tokens": slot.tokens, "moved": slot.moved} for slot in model.slots],
    }
