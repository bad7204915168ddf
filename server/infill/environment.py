"""The environment that our processes inherit: without API keys, which only the process that asks a remote provider needs.

Withheld are the keys that an editor hands over (`INFILL_KEY_*`), the variables that settings name (`keyVariable`), and the tokens of the Hugging Face
hub, which `hub_tokens` gives to the one process that downloads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

OWN_KEYS = "INFILL_KEY_"
HUB_TOKENS = frozenset({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
_named: set[str] = set()


def withhold(variables: Iterable[str]) -> None:
    """Keep these variables from all processes that are started from now on."""
    _named.update(variable.upper() for variable in variables if variable)


def inherited() -> dict[str, str]:
    """Our environment without keys."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(OWN_KEYS)}
    return {name: value for name, value in kept.items() if name.upper() not in _named | HUB_TOKENS}


def hub_tokens() -> dict[str, str]:
    """The tokens of the Hugging Face hub, for the process that downloads."""
    return {name: value for name, value in os.environ.items() if name.upper() in HUB_TOKENS}
