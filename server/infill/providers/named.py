"""Validation of remote model ids: the provider is configured and its server lists the model. Used before a choice is stored."""

from __future__ import annotations

import contextlib
import difflib

from infill.errors import InfillError, ProviderRefused, UnknownModel
from infill.providers import setup
from infill.providers.setup import LOCAL
from infill.settings import Settings

LATEST = ":latest"
"""Ollama's default tag for names without one."""


async def check(model: str, settings: Settings) -> str:
    """Raise UnknownModel if the id of a remote model is invalid.

    Returns a message if the server could not be asked for its models, empty if it lists this one. Ids of local models are not checked.
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
    """The full id of a model: `x` -> `local:x`, `ollama:x` -> `ollama:home/x`. Raises UnknownModel, or ModelMissing if it must be downloaded."""
    from infill.models import store

    if ":" not in model or model.startswith(f"{LOCAL}:"):
        return store.find(model).full_id
    of = provider(model, settings)
    name = setup.remote_model(model, of)
    return f"{of}/{name}" if name else of


def provider(model: str, settings: Settings) -> str:
    """The provider in the id of a remote model. Raises UnknownModel if it is not configured."""
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
    """Whether a server's list contains a model, with Ollama's rule that a name without a tag means `:latest`."""
    return asked in offered or f"{asked}{LATEST}" in offered
