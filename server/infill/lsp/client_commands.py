"""Commands that the editor runs, listed in its capabilities as `experimental.commands.commands` (a list of strings).

The server offers such a command only to an editor that lists it.
"""

from __future__ import annotations

from lsprotocol import types

CHOOSE_MODEL = "infill.chooseModel"
CHOOSE_DOWNLOAD = "infill.chooseDownload"
SHOW_TROUBLE = "infill.showTrouble"
"""Argument: `{error, message, severity}`: a class of `errors.py`, its message without the next step, and `error` or `warning`."""
REWRITE = "infill.rewriteSelection"


def runs(capabilities: types.ClientCapabilities, command: str) -> bool:
    """Whether the editor runs this command."""
    value: object = capabilities.experimental
    for name in ("commands", "commands"):
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return isinstance(value, (list, tuple)) and command in value
