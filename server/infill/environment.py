"""The environment of child processes: without API keys, which only the process that calls a remote provider needs.

The keys that an editor passes (`INFILL_KEY_*`), the variables named in settings (`keyVariable`) and the tokens of the Hugging Face hub are removed.
`hub_tokens` returns those tokens for the download process.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

OWN_KEYS = "INFILL_KEY_"
HUB_TOKENS = frozenset({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
_named: set[str] = set()


def withhold(variables: Iterable[str]) -> None:
    """Remove these variables from the environment of all processes started from now on."""
    _named.update(variable.upper() for variable in variables if variable)


def inherited() -> dict[str, str]:
    """This process's environment without keys."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(OWN_KEYS)}
    return {name: value for name, value in kept.items() if name.upper() not in _named | HUB_TOKENS}


def hub_tokens() -> dict[str, str]:
    """The tokens of the Hugging Face hub, for the process that downloads."""
    return {name: value for name, value in os.environ.items() if name.upper() in HUB_TOKENS}
