"""The next-edit model: which one is chosen, and the prompt format that it is asked in. Reads files; starts nothing."""

from __future__ import annotations

from infill import state
from infill.errors import ModelError
from infill.models import catalog, gguf, store
from infill.models.edit_format import EditFormat, has_controls
from infill.settings import Settings

HINT = "`infill models recommend --role edit` names one for this machine."


def chosen(settings: Settings, workspace: str | None = None) -> str:
    """The full id of the model for next edits; empty: none was chosen, and next edits come from the rules alone."""
    return settings.models.edit or state.choice_of("edit", workspace)


def format_of(model_id: str) -> EditFormat:
    """The prompt format of an installed model. Raises ModelError where there is none for it, UnknownModel, ModelMissing or BadModelFile.

    A catalogue entry may name another one than the file implies (`edit_format`), if the vocabulary has its control tokens.
    """
    file = store.locate(model_id)
    facts = gguf.facts(file.path)
    entry = catalog.load().entries.get(catalog.short(model_id))
    wanted = (entry.edit_format if entry else "") or facts.edit_format
    if wanted and not has_controls(wanted, facts.controls):
        raise ModelError(f"{file.title} lacks the control tokens of the prompt format {wanted!r}.", f"Choose another file of the model. {HINT}")
    if wanted:
        return wanted
    if facts.chat:
        return "instruct"
    raise ModelError(f"{file.title} is not a next-edit model with a known prompt format, and does not follow instructions.", HINT)
