"""Prompts for the engine, and helpers that read the whole answer."""

from __future__ import annotations

from infill.ask import Finish, Prompt, Report, Stop
from infill.providers.local import LocalProvider

BUNDLED = "local:bundled"


def prompt(prefix: str = "def add(a, b):\n    return ", slot: str = "main.py", **more) -> Prompt:
    return Prompt(slot=slot, prefix=prefix, suffix="\n\n\nprint(add(1, 2))\n", **{"stop": Stop(max_tokens=8, deadline_ms=60_000), **more})


async def answer(local: LocalProvider, question: Prompt | None = None) -> tuple[str, Finish, Report]:
    """The whole answer: text, finish reason, report."""
    text, finish, report = "", None, None
    async for event in local.complete(question or prompt()):
        if isinstance(event, Finish):
            finish = event
        elif isinstance(event, Report):
            report = event
        else:
            text += event.text
    assert finish is not None and report is not None
    return text, finish, report
