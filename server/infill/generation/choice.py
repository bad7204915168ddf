"""Which model writes, and whether it follows instructions or only continues code."""

from __future__ import annotations

from infill import state
from infill.errors import ModelError
from infill.models import store
from infill.models.catalog import PREFIX
from infill.settings import Models


def chosen(settings: Models, workspace: str | None) -> tuple[str, bool]:
    """The model id for the role `generate`: the setting, else what was last chosen; and whether it follows instructions."""
    model = settings.generate or state.chosen_model("generate", workspace)
    return model, follows_instructions(model)


def follows_instructions(model_id: str) -> bool:
    """Remote models are asked to; local ones do when their catalogue entry has the role `generate`."""
    if not model_id.startswith(PREFIX):
        return True
    try:
        return "generate" in store.find(model_id).roles
    except ModelError:
        # loading it will say what is wrong with it; nothing is promised until then
        return False
