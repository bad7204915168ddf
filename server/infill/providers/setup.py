"""From settings to the chain of providers: the one list of who answers, in the user's order. Used by `infill lsp` and by the command line.

Nothing is connected to, imported for HTTP or started here: each provider does that when it is first asked.
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
    """Build everybody who may answer, around the local provider (None: there is none).

    `model` is the chosen model's id: a remote one, such as `openai:work/name`, puts its provider first. `tell` hears, once, what a user has to know;
    an entry of `providers.order` that means nothing is told and left out.
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
    """What the local provider loads: the chosen model, or, while a remote one is chosen, what ships with the program."""
    return chosen if chosen.startswith(f"{LOCAL}:") else BUNDLED


def ordered(settings: Settings, model: str) -> list[str]:
    """The providers to ask, first to last: the user's order, the one whose model was chosen before all others."""
    order = list(dict.fromkeys(settings.providers.order)) or [LOCAL]
    first = provider_of(model, settings)
    return [first, *(name for name in order if name != first)] if first != LOCAL and first else order


def provider_of(model: str, settings: Settings) -> str:
    """The provider that a model's id names: `local:x` -> `local`, `openai:work/x` -> `openai:work`, `ollama:x` -> the only one of its kind."""
    kind, _, rest = model.partition(":")
    if kind == LOCAL or not rest:
        return LOCAL
    named = f"{kind}:{rest.partition('/')[0]}"
    known = [f"{entry.kind}:{name}" for name, entry in settings.providers.remote.items() if entry.kind == kind]
    if named in known:
        return named
    return known[0] if len(known) == 1 else ""


def remote_model(model: str, name: str) -> str:
    """What a remote provider calls the model of an id: `openai:work/x` -> `x` for `openai:work`; empty where the id means the provider's own."""
    if model.startswith(f"{name}/"):
        return model[len(name) + 1 :]
    kind, _, rest = model.partition(":")
    return rest if kind == name.partition(":")[0] and f"{kind}:{rest}" != name else ""


def uninvited(settings: Settings, model: str) -> SettingsError | None:
    """The error for a model that a setting chose, of a provider that is not in the order: a workspace may set the one and not the other."""
    first = provider_of(model, settings)
    if model != settings.models.complete or first in {LOCAL, *settings.providers.order}:
        return None
    return SettingsError(
        f"infill.models.complete is {model}, of a provider that is not in providers.order.", "Add the provider there, in your own settings."
    )


def unknown(name: str, settings: Settings) -> SettingsError | None:
    """The error for a name that no provider has; None where one has it."""
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
    """One remote provider by its name `kind:entry`. Raises SettingsError where there is none."""
    if problem := unknown(name, settings):
        raise problem
    _kind, _, entry = name.partition(":")
    endpoint = settings.providers.remote[entry]
    if model:
        endpoint = msgspec.structs.replace(endpoint, model=model)
    dialect = _dialect(endpoint, settings)
    line = Connection(name, endpoint, dialect.default_url, settings.privacy.offline, lambda: keys.find(name, endpoint))
    return Remote(name, line, dialect, clock, tell)
