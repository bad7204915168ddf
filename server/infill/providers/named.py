"""Whether the id of a remote model names something: a provider that is set up, and a model that its server lists. Used before a choice is kept."""

from __future__ import annotations

import contextlib
import difflib

from infill.errors import InfillError, ProviderRefused, UnknownModel
from infill.providers import setup
from infill.providers.setup import LOCAL
from infill.settings import Settings

LATEST = ":latest"
"""The tag that Ollama takes where a name has none."""


async def check(model: str, settings: Settings) -> str:
    """Raise UnknownModel where the id of a remote model names nothing.

    Returns a sentence where the server could not be asked for its models, empty where it has this one. Ids of local models are not judged here.
    """
    if model.startswith(f"{LOCAL}:") or ":" not in model:
        return ""
    name = provider(model, settings)
    asked = setup.remote_model(model, name)
    async with contextlib.aclosing(setup.remote(name, settings)) as remote:
        try:
            offered = [one.name for one in await remote.models()]
        except ProviderRefused as exc:
            return f"The models of {name} could not be listed: {exc.message}"
        except InfillError as exc:
            return str(exc)
    if not asked or not offered or found(asked, offered):
        return ""
    near = difflib.get_close_matches(asked, offered, n=3, cutoff=0.4) or offered[:8]
    raise UnknownModel(f"{name} has no model {asked!r}.", f"It has: {', '.join(near)}. `infill providers list --models` shows all.")


def full_id(model: str, settings: Settings) -> str:
    """The whole id of a model: `x` -> `local:x`, `ollama:x` -> `ollama:home/x`. Raises UnknownModel, or ModelMissing for one to be downloaded."""
    from infill.models import store

    if ":" not in model or model.startswith(f"{LOCAL}:"):
        return store.find(model).full_id
    of = provider(model, settings)
    name = setup.remote_model(model, of)
    return f"{of}/{name}" if name else of


def provider(model: str, settings: Settings) -> str:
    """The provider that the id of a remote model names. Raises UnknownModel where none is set up."""
    name = setup.provider_of(model, settings)
    if name:
        return name
    kind = model.partition(":")[0]
    of_kind = [f"{entry.kind}:{key}" for key, entry in settings.providers.remote.items() if entry.kind == kind]
    everyone = [f"{entry.kind}:{key}" for key, entry in settings.providers.remote.items()]
    if of_kind:
        raise UnknownModel(f"{model} does not say which provider is meant.", f"Write {' or '.join(f'{one}/MODEL' for one in of_kind)}.")
    known = f"There are: {', '.join(everyone)}." if everyone else "providers.remote in your settings has none."
    raise UnknownModel(f"{model} names no provider that is set up.", known)


def found(asked: str, offered: list[str]) -> bool:
    """Whether a server's list has a model, with Ollama's rule that a name without a tag means the latest one."""
    return asked in offered or f"{asked}{LATEST}" in offered
