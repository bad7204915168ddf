"""Which model generates code, and whether it follows instructions or only continues code."""

from __future__ import annotations

from infill import state
from infill.errors import ModelError
from infill.models import store
from infill.models.catalog import PREFIX
from infill.settings import Settings

LOCAL = PREFIX.rstrip(":")


def chosen(settings: Settings, workspace: str | None) -> tuple[str, bool]:
    """The model id for the role `generate`, and whether it follows instructions. Empty: the first provider in `providers.order`, a remote one.

    It is the model set or chosen for this role, else the model for completions.
    """
    own = settings.models.generate or state.choice_of("generate", workspace)
    completes = settings.models.complete or state.choice_of("complete", workspace)
    first = settings.providers.order[0] if settings.providers.order else LOCAL
    if not own and first != LOCAL and (not completes or completes.startswith(PREFIX)):
        return "", True
    model = own or completes or state.BUNDLED
    return model, follows_instructions(model)


def follows_instructions(model_id: str) -> bool:
    """Whether a model follows instructions: remote models do, local ones if they have the role `generate`."""
    if not model_id.startswith(PREFIX):
        return True
    try:
        return "generate" in store.find(model_id).roles
    except ModelError:
        # the error is reported when the model is loaded
        return False
