"""The chosen next-edit model and its prompt format. Reads files; starts no process."""

from __future__ import annotations

from infill import state
from infill.errors import ModelError
from infill.models import catalog, gguf, store
from infill.models.edit_format import EditFormat, has_controls
from infill.settings import Settings

HINT = "`infill models recommend --role edit` names one for this machine."


def chosen(settings: Settings, workspace: str | None = None) -> str:
    """The full id of the model for next edits; empty: none is chosen, and only the rules suggest next edits."""
    return settings.models.edit or state.choice_of("edit", workspace)


def format_of(model_id: str) -> EditFormat:
    """The prompt format of an installed model. Raises ModelError where it has none, UnknownModel, ModelMissing or BadModelFile.

    A catalogue entry may override the file's format (`edit_format`), if the vocabulary has its control tokens.
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
