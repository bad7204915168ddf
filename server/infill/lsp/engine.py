"""The engine's status as JSON, for `infill.status` and `infill.explain`. Queries a running engine; starts none."""

from __future__ import annotations

import asyncio
from typing import Any

from infill.engine.protocol import ModelStatus
from infill.errors import InfillError
from infill.providers.local import LocalProvider

PATIENCE = 0.5
"""Timeout in seconds of the query for the background task; a working engine answers much sooner."""


async def account(local: LocalProvider) -> dict[str, Any] | None:
    """All fields of the status, including empty ones; None if no engine runs."""
    try:
        engine = await local.status()
    except InfillError:
        return None
    if engine is None:
        return None
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


async def background(local: LocalProvider) -> str:
    """The engine's background task, in the words of `infill engine status`; empty: none, no engine, or no reply."""
    try:
        engine = await asyncio.wait_for(local.status(models=False), PATIENCE)
    except (InfillError, asyncio.TimeoutError):
        return ""
    return engine.background if engine is not None else ""


def _model(model: ModelStatus) -> dict[str, Any]:
    return {
        "model": model.model,
        "plan": model.plan,
        "restricted": model.restricted,
        "context": model.context,
        "evaluatePerSecond": model.evaluate_per_second,
        "generatePerSecond": model.generate_per_second,
        "tokensEvaluated": model.tokens_evaluated,
        "tokensGenerated": model.tokens_generated,
        "slots": [{"slot": slot.slot, "tokens": slot.tokens, "moved": slot.moved} for slot in model.slots],
    }
