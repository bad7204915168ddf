"""Which models are on this machine, and where their files lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from infill import paths
from infill.errors import UnknownModel
from infill.state import BUNDLED


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be loaded here."""

    id: str
    title: str
    path: Path
    fim_order: Literal["", "psm", "spm"] = ""
    """As the catalogue says; empty: as the file says, else prefix-suffix-middle."""


def locate(model_id: str) -> ModelFile:
    """Find an installed model's file. Raises UnknownModel or ModelMissing."""
    if model_id == BUNDLED:
        return ModelFile(id=BUNDLED, title="infill tiny (6 M parameters, Python only)", path=paths.bundled_model(), fim_order="spm")
    raise UnknownModel(f"There is no model {model_id!r}.", "`infill models list` shows those that are installed.")
