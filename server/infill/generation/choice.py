"""Which model writes, and whether it follows instructions or only continues code."""

from __future__ import annotations

from infill import state
from infill.errors import ModelError
from infill.models import store
from infill.models.catalog import PREFIX
from infill.settings import Settings

LOCAL = PREFIX.rstrip(":")


def chosen(settings: Settings, workspace: str | None) -> tuple[str, bool]:
    """The model id for the role `generate`, and whether it follows instructions; empty: whoever is the first in `providers.order`, a remote one.

    It is what was set or chosen for just this role, else whoever completes.
    """
    own = settings.models.generate or state.choice_of("generate", workspace)
    completes = settings.models.complete or state.choice_of("complete", workspace)
    first = settings.providers.order[0] if settings.providers.order else LOCAL
    if not own and first != LOCAL and (not completes or completes.startswith(PREFIX)):
        return "", True
    model = own or completes or state.BUNDLED
    return model, follows_instructions(model)


def follows_instructions(model_id: str) -> bool:
    """Remote models are asked to; local ones do when they have the role `generate`."""
    if not model_id.startswith(PREFIX):
        return True
    try:
        return "generate" in store.find(model_id).roles
    except ModelError:
        # loading it will say what is wrong with it; nothing is promised until then
        return False
