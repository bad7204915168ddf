"""The result of `infill.models`: all models of all configured providers, in the format of docs/develop/protocol.md.

It does not choose, load or download models.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from infill.errors import InfillError
from infill.settings import Settings
from infill.state import Role

if TYPE_CHECKING:
    from infill.models.listing import Choice

REMOTE_SECONDS = 3.0
"""Timeout for a server's list of models; a slower server is named in `Offer.problems`."""


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One model to choose."""

    id: str
    title: str
    provider: str
    parameters: str = ""
    quantization: str = ""
    size: int = 0
    licence: str = ""
    commercial: bool = True
    context: int = 0
    roles: tuple[Role, ...] = ()
    recommended: tuple[Role, ...] = ()
    """The roles for which it is the best model of the catalogue on this machine; empty until the machine is measured."""
    continues_only: bool = False
    """Whether it lacks fill-in-the-middle tokens, and so gets no code after the cursor."""
    languages: tuple[str, ...] = ()
    installed: bool = False
    active: bool = False
    fit: Literal["fits", "tight", "too big", "unknown", "remote"] = "remote"
    why: str = ""
    tokens_per_second: float = 0.0
    state: Literal["installed", "available", "downloading", "loaded", "broken"] = "available"
    progress: float = 0.0
    notes: str = ""
    checked: str = ""
    """Result of `infill models check`, with the problems found; empty: not checked."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """All models, the chosen ones, and the storage used."""

    models: list[Model]
    active: dict[Role, str]
    scope: Literal["workspace", "global", "settings"]
    storage: dict[str, Any]
    problems: list[str] = []


async def choices(settings: Settings, workspace: str | None, loaded: Sequence[str], downloading: Mapping[str, float]) -> Offer:
    """All models that can be chosen now."""
    from infill.models import listing

    known, (remote, silent) = await asyncio.gather(asyncio.to_thread(listing.listing, settings, workspace), _remote(settings))
    active = set(known.active.values())
    models = [_local(choice, loaded, downloading) for choice in known.choices]
    models += [msgspec.structs.replace(model, active=model.id in active) for model in remote]
    storage = {"used": known.storage.used, "free": known.storage.free, "path": str(known.storage.directory)}
    return Offer(models=models, active=known.active, scope=known.scope, storage=storage, problems=[*known.problems, *silent])


def _local(choice: Choice, loaded: Sequence[str], downloading: Mapping[str, float]) -> Model:
    share = next((share for model, share in downloading.items() if model in {choice.id, choice.id.partition(":")[2]}), None)
    state: Any = "downloading" if share is not None else "loaded" if choice.id in loaded else choice.state
    return Model(
        id=choice.id,
        title=choice.title,
        provider=choice.provider,
        parameters=_parameters(choice.parameters),
        quantization=choice.quantization,
        size=choice.size,
        licence=choice.licence,
        commercial=choice.commercial,
        context=choice.context,
        roles=choice.roles,
        recommended=choice.recommended,
        continues_only=choice.continues_only,
        languages=choice.languages,
        installed=choice.state == "installed",
        active=bool(choice.active),
        fit=choice.fit,
        why=choice.why,
        tokens_per_second=choice.tokens_per_second,
        state=state,
        progress=share or 0.0,
        notes=choice.notes,
        checked=". ".join([choice.checked, *(problem.rstrip(".") for problem in choice.problems)]) if choice.checked else "",
    )


async def _remote(settings: Settings) -> tuple[list[Model], list[str]]:
    """The models of each remote provider, and a sentence for each that did not reply."""
    names = [f"{endpoint.kind}:{name}" for name, endpoint in settings.providers.remote.items()]
    if not names:
        return [], []
    answers = await asyncio.gather(*(_of(name, settings) for name in names))
    return [model for models, _ in answers for model in models], [problem for _, problem in answers if problem]


async def _of(name: str, settings: Settings) -> tuple[list[Model], str]:
    from infill.providers import setup

    provider = setup.remote(name, settings)
    try:
        offered = await asyncio.wait_for(provider.models(), REMOTE_SECONDS)
    except InfillError as exc:
        return [], f"{name}: {exc.message}"
    except asyncio.TimeoutError:
        return [], f"{name} does not say which models it has."
    finally:
        await provider.aclose()
    return [
        Model(
            id=f"{name}/{one.name}",
            title=one.name,
            provider=name,
            parameters=one.parameters,
            quantization=one.quantization,
            size=one.size,
            roles=("complete", "generate"),
            installed=True,
            why=f"Answered by {name}.",
            state="installed",
        )
        for one in offered
    ], ""


def _parameters(billions: float) -> str:
    if not billions:
        return ""
    return f"{billions:.3g}B" if billions >= 1 else f"{billions * 1000:.0f}M"
