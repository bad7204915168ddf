"""Builds the chain of providers in the user's order from the settings. Used by `infill lsp` and by the command line.

Opens no connections, imports no HTTP and starts nothing: each provider does that at its first request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from infill.errors import InfillError, SettingsError
from infill.providers import keys
from infill.providers.chain import Chain
from infill.providers.dialect import Dialect
from infill.providers.http import Connection
from infill.providers.llamacpp import LlamaCpp
from infill.providers.local import LocalProvider
from infill.providers.mistral import Mistral
from infill.providers.ollama import Ollama
from infill.providers.openai import OpenAi
from infill.providers.race import Member
from infill.providers.remote import Remote
from infill.settings import Endpoint, Settings
from infill.state import BUNDLED

KINDS: Mapping[str, Callable[[], Dialect]] = {"llamacpp": LlamaCpp, "openai": OpenAi, "mistral": Mistral}
LOCAL = "local"


def chain(
    settings: Settings,
    local: LocalProvider | None,
    *,
    model: str = "",
    tell: Callable[[InfillError], None] = lambda error: None,
    clock: Callable[[], float] = time.monotonic,
) -> Chain:
    """The chain of all configured providers, with the local one (None: no local provider).

    `model` is the chosen model's id; the provider of a remote model, such as `openai:work/name`, comes first. `tell` is called once per problem that
    the user should know about. Invalid entries of `providers.order` are reported and skipped.
    """
    members: list[Member] = []
    if problem := uninvited(settings, model):
        tell(problem)
        model = ""
    for name in ordered(settings, model):
        if name == LOCAL:
            members += [Member(local, clock=clock)] if local is not None else []
        elif problem := unknown(name, settings):
            tell(problem)
        else:
            asked = remote(name, settings, remote_model(model, name) if provider_of(model, settings) == name else "", clock, tell)
            members.append(Member(asked, asked.line.endpoint.timeout_ms, clock))
    return Chain(members, tell=tell, hedge_ms=settings.providers.hedge_ms, clock=clock)


def local_model(chosen: str) -> str:
    """The model that the local provider loads: the chosen model, or the bundled one if a remote model is chosen."""
    return chosen if chosen.startswith(f"{LOCAL}:") else BUNDLED


def ordered(settings: Settings, model: str) -> list[str]:
    """The providers in the order of use: the user's order, with the chosen model's provider first."""
    order = list(dict.fromkeys(settings.providers.order)) or [LOCAL]
    first = provider_of(model, settings)
    return [first, *(name for name in order if name != first)] if first != LOCAL and first else order


def provider_of(model: str, settings: Settings) -> str:
    """The provider in a model's id: `local:x` -> `local`, `openai:work/x` -> `openai:work`, `ollama:x` -> the only one of its kind."""
    kind, _, rest = model.partition(":")
    if kind == LOCAL or not rest:
        return LOCAL
    named = f"{kind}:{rest.partition('/')[0]}"
    known = [f"{entry.kind}:{name}" for name, entry in settings.providers.remote.items() if entry.kind == kind]
    if named in known:
        return named
    return known[0] if len(known) == 1 else ""


def remote_model(model: str, name: str) -> str:
    """The remote provider's name for a model: `openai:work/x` -> `x` for `openai:work`; empty if the id means the provider's own model."""
    if model.startswith(f"{name}/"):
        return model[len(name) + 1 :]
    kind, _, rest = model.partition(":")
    return rest if kind == name.partition(":")[0] and f"{kind}:{rest}" != name else ""


def uninvited(settings: Settings, model: str) -> SettingsError | None:
    """The error if a setting chose a model whose provider is not in the order. A workspace may set the model, but not the order."""
    first = provider_of(model, settings)
    if model != settings.models.complete or first in {LOCAL, *settings.providers.order}:
        return None
    return SettingsError(
        f"infill.models.complete is {model}, of a provider that is not in providers.order.", "Add the provider there, in your own settings."
    )


def unknown(name: str, settings: Settings) -> SettingsError | None:
    """The error for an unknown provider name; None for a known one."""
    kind, _, entry = name.partition(":")
    endpoint = settings.providers.remote.get(entry)
    if endpoint is not None and endpoint.kind == kind:
        return None
    known = ", ".join([LOCAL, *(f"{value.kind}:{key}" for key, value in settings.providers.remote.items())])
    return SettingsError(f"There is no provider {name!r}.", f"providers.order may name: {known}; providers.remote holds the remote ones.")


def _dialect(endpoint: Endpoint, settings: Settings) -> Dialect:
    if endpoint.kind == "ollama":
        return Ollama(max(settings.completion.max_tokens, settings.generate.max_tokens), endpoint.keep_alive)
    return KINDS[endpoint.kind]()


def remote(
    name: str,
    settings: Settings,
    model: str = "",
    clock: Callable[[], float] = time.monotonic,
    tell: Callable[[InfillError], None] = lambda error: None,
) -> Remote:
    """The remote provider with the name `kind:entry`. Raises SettingsError if there is none."""
    if problem := unknown(name, settings):
        raise problem
    _kind, _, entry = name.partition(":")
    endpoint = settings.providers.remote[entry]
    if model:
        endpoint = msgspec.structs.replace(endpoint, model=model)
    dialect = _dialect(endpoint, settings)
    line = Connection(name, endpoint, dialect.default_url, settings.privacy.offline, lambda: keys.find(name, endpoint))
    return Remote(name, line, dialect, clock, tell)
