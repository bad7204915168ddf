"""How the tests of providers build chains and ask them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from infill.ask import Delta, Event, Finish, Prompt, Report, Stop
from infill.providers import setup
from infill.providers.chain import Chain
from infill.settings import Settings, resolve

KEY = "sk-loopback-0123456789"
"""What the server of llama-cpp-python wants."""


def settings_for(order: list[str], remote: dict[str, dict[str, Any]], **more: Any) -> Settings:
    settings, problems = resolve({"providers": {"order": order, "remote": remote, **more.pop("providers", {})}, **more})
    assert not problems
    return settings


def chain_of(kind: str, url: str, tell: Any = lambda error: None, **endpoint: Any) -> Chain:
    """A chain of one remote provider."""
    return setup.chain(settings_for([f"{kind}:lab"], {"lab": {"kind": kind, "url": url, **endpoint}}), None, tell=tell)


def prompt(**changes: Any) -> Prompt:
    return Prompt(
        **{"slot": "s", "prefix": "def add(a, b):\n    return ", "suffix": "\n", "path": "add.py", "stop": Stop(deadline_ms=4000), **changes}
    )


async def gather(events: AsyncIterator[Event]) -> tuple[str, Finish, Report]:
    """The first candidate's text, its end, and the report."""
    said = [event async for event in events]
    text = "".join(event.text for event in said if isinstance(event, Delta) and event.candidate == 0)
    finish = next(event for event in said if isinstance(event, Finish))
    assert isinstance(said[-1], Report)
    return text, finish, said[-1]
