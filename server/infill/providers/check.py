"""Provider tests: is the server reachable, is the key accepted, is the model available, does it fill in the middle, and how fast?

For `infill providers test`, `infill doctor` and the command `infill.testProvider`. Also returns the last request, for `infill.showLastRequest`.
Each provider gets one real completion request with constant sample code. Only cancellation is raised.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from infill import continuation
from infill.ask import Delta, Prompt, Report, Stop
from infill.errors import InfillError, ProviderRefused
from infill.providers import keys, setup
from infill.providers.base import Provider
from infill.providers.chain import Chain
from infill.providers.dialect import Facts
from infill.providers.http import Deadline
from infill.providers.remote import Remote
from infill.providers.trouble import CannotFill, Throttled
from infill.settings import Settings

QUESTION = Prompt(slot="infill:test", prefix="def add(a, b):\n    return ", suffix="\n", path="add.py", stop=Stop(max_tokens=16, single_line=True))
CONTINUES = "no: it continues only"
SECONDS = 20.0
"""Longest wait for each provider; includes the time to load a model."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one provider. Fields of steps that were not reached are empty."""

    provider: str
    ok: bool = False
    reach: str = ""
    """`yes`, or the reason why not."""
    key: str = ""
    """Where the key comes from and whether it was accepted."""
    model: str = ""
    fim: str = ""
    """How it fills in the middle: the family of its tokens, or the API that does it."""
    ms: float = 0.0
    """From the second request to the end of a line; the first request may have included loading a model."""
    message: str = ""
    """A sentence: the success, or what to do."""


async def try_all(settings: Settings, local: Provider | None, names: Sequence[str] = ()) -> list[Check]:
    """Test the providers with these names; without names, all in the user's order and all that are configured."""
    everybody = [*settings.providers.order, *(f"{entry.kind}:{name}" for name, entry in settings.providers.remote.items())]
    checks = []
    for name in dict.fromkeys(names or everybody):
        if name == setup.LOCAL:
            checks.append(await _try_local(local) if local is not None else Check(provider=name, message="It is not asked here."))
        elif problem := setup.unknown(name, settings):
            checks.append(Check(provider=name, message=str(problem)))
        else:
            remote = setup.remote(name, settings)
            async with contextlib.aclosing(remote):
                checks.append(await try_remote(remote))
    return checks


async def _try_local(local: Provider) -> Check:
    try:
        report, milliseconds = await _answer(local)
    except InfillError as exc:
        return Check(provider=local.name, message=str(exc))
    done = f"It answers in {milliseconds:.0f} ms."
    way = CONTINUES if continuation.NOTE in report.notes else "the engine"
    return Check(provider=local.name, ok=True, reach="yes", key="none needed", model=report.model, fim=way, ms=milliseconds, message=done)


async def try_remote(remote: Remote) -> Check:
    """Test one remote provider step by step; the first failed step gives the reason."""
    endpoint = remote.line.endpoint
    source = keys.source(remote.name, endpoint)
    check = Check(provider=remote.name, key=source)
    deadline = Deadline(SECONDS)
    try:
        facts = await remote.look(deadline)
        check = msgspec.structs.replace(check, model=facts.model, fim=_way(facts))
        report, milliseconds = await _answer(remote)
    except CannotFill as exc:
        return msgspec.structs.replace(check, reach="yes", fim="no", message=str(exc))
    except ProviderRefused as exc:
        taken = source if isinstance(exc, Throttled) or "key" not in exc.message else f"{source}: not accepted"
        return msgspec.structs.replace(check, reach="yes", key=taken, message=str(exc))
    except InfillError as exc:
        return msgspec.structs.replace(check, reach="no", fim="", message=str(exc))
    message = f"It answers in {milliseconds:.0f} ms."
    if facts.warning is not None:
        message += f" {facts.warning}"
    if urlsplit(remote.line.url).scheme == "http" and not remote.line.is_loopback:
        message += " The connection is not encrypted: others on the network can read your code and your key."
    return msgspec.structs.replace(check, ok=True, reach="yes", model=report.model or check.model, ms=milliseconds, message=message)


async def _answer(provider: Provider) -> tuple[Report, float]:
    """The second of two completions: its report and its milliseconds."""
    report, milliseconds = Report(provider=provider.name, model=""), 0.0
    for _ in range(2):
        began = time.perf_counter()
        said = ""
        async for event in provider.complete(QUESTION):
            said += event.text if isinstance(event, Delta) else ""
            report = event if isinstance(event, Report) else report
        milliseconds = (time.perf_counter() - began) * 1000
    return report, milliseconds


def _way(facts: Facts) -> str:
    if facts.family is not None:
        return f"in the tokens of {facts.family.title}"
    return {"suffix": "the server does it", "chat": "a chat model is asked", "continued": CONTINUES}.get(facts.mode, "the server does it")


def last_request(provider: Provider) -> dict[str, Any]:
    """The last request to a remote server exactly as sent, without keys."""
    members = [member.provider for member in provider.members] if isinstance(provider, Chain) else [provider]
    sent = [member.line.last for member in members if isinstance(member, Remote) and member.line.last is not None]
    if not sent:
        return {"provider": "", "url": "", "headers": {}, "body": None, "message": "No request was sent to another machine since infill started."}
    last = max(sent, key=lambda one: one.at)
    facts: dict[str, Any] = msgspec.to_builtins(last)
    return facts
