"""The settings that a workspace may change: none that send code elsewhere, start a program, or name a file. Reports which ones were ignored.

The content of a cloned repository is untrusted. From its `.vscode/settings.json` or `.infill.toml` only harmless settings are accepted
(WORKSPACE_MAY_SET); a model only if the user's own settings allow it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from infill.privacy import workspace_files
from infill.settings import WORKSPACE_MAY_SET, Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = ".infill.toml"
DEEPEST = 32
"""Maximum depth of nested brackets in a settings file: parsers and the code that reads values are recursive."""
MOST_DOTS = 100
"""Maximum number of dots in one line: the parser needs time quadratic in the parts of a dotted key."""
_LOCAL_MODEL = re.compile(r"local:[A-Za-z0-9][\w.+-]{0,200}", re.ASCII)
"""An id of the catalogue or of an import, not a path or a repository."""
_REMOTE_MODEL = re.compile(r"[\w.+:/@~-]{0,200}", re.ASCII)
"""A provider's name of a model. It is restricted because editors show it, and some evaluate `%{...}` or `$(...)`."""


def harmless(options: Any, user: Settings, where: str) -> tuple[dict[str, Any], list[str]]:
    """The part of a workspace's options (camelCase, as sent) that is accepted, and a sentence for each rejected one.

    `user` are the user's own settings; `where` names the source in the sentences, such as `.infill.toml`.
    """
    if not isinstance(options, dict):
        return {}, [] if options is None else [f"{where}: the settings of infill must be a table; they are ignored."]
    taken: dict[str, Any] = {}
    ignored: list[str] = []
    for name, value in options.items():
        if name in WORKSPACE_MAY_SET:
            taken[name] = value
        elif isinstance(value, dict) and any(allowed.startswith(f"{name}.") for allowed in WORKSPACE_MAY_SET):
            inner = _section(name, value, user, ignored)
            if inner:
                taken[name] = inner
        else:
            ignored.append(name)
    sentences = [f"{where}: infill.{name} is ignored: a workspace may not set it." for name in ignored]
    return taken, sentences


def _section(name: str, options: dict[str, Any], user: Settings, ignored: list[str]) -> dict[str, Any]:
    taken = {}
    for key, value in options.items():
        full = f"{name}.{key}"
        if full in WORKSPACE_MAY_SET and (name != "models" or is_trusted_model(value, user)):
            taken[key] = value
        else:
            ignored.append(full)
    return taken


def is_trusted_model(model: Any, user: Settings) -> bool:
    """Whether a workspace may choose this model: an installed local one, or one of a provider in the user's own order."""
    if not isinstance(model, str):
        return False
    if model == "" or _LOCAL_MODEL.fullmatch(model):
        return True
    provider, _, name = model.partition("/")
    return _REMOTE_MODEL.fullmatch(name) is not None and provider in user.providers.order and not model.startswith("local")


def merged(user: dict[str, Any], workspace: dict[str, Any]) -> dict[str, Any]:
    """The workspace's options over the user's. Exclusions are combined: a workspace can exclude more files, not fewer."""
    result = dict(user)
    for name, value in workspace.items():
        mine = user.get(name)
        if isinstance(value, dict) and isinstance(mine, dict):
            result[name] = merged(mine, value)
        elif name == "exclude" and isinstance(value, list) and isinstance(mine, list):
            result[name] = [*mine, *value]
        else:
            result[name] = value
    return result


def combine(
    user: Any, workspace: Any, resolved_user: Settings, *, trusted: bool | None = None, where: str = "The workspace"
) -> tuple[Any, list[str]]:
    """The user's and the workspace's options, combined.

    `trusted`: None if the editor does not report workspace trust; False in a workspace that it calls untrusted (its options are ignored); True if the
    user set `--trust-workspace` (all its options are accepted).
    """
    if workspace is None or trusted is False or not isinstance(user, (dict, type(None))):
        return user, []
    if trusted:
        return merged(user or {}, workspace) if isinstance(workspace, dict) else user, []
    taken, sentences = harmless(workspace, resolved_user, where)
    return merged(user or {}, taken), sentences


def read_workspace_file(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The options of a folder's `.infill.toml` (None without one), and a sentence if it cannot be read. Never raises."""
    file = folder / FILE
    try:
        content = workspace_files.read(file, folder, workspace_files.LARGEST_SETTINGS)
        return None if content is None else _parsed(content.decode("utf-8-sig")), []
    except Exception as exc:  # parsers have raised RecursionError, MemoryError and ValueError
        reason = str(exc) if isinstance(exc, workspace_files.NotRead | tomllib.TOMLDecodeError) else type(exc).__name__
        return None, [f"{file} is ignored: {reason}."]


def _parsed(text: str) -> dict[str, Any]:
    """Raises NotRead for unreasonable nesting and keys, TOMLDecodeError for invalid TOML."""
    depth = 0
    for character in text:  # brackets in strings count too: settings need few of either
        depth += (character in "[{") - (character in "]}" and depth > 0)
        if depth > DEEPEST:
            raise workspace_files.NotRead(f"its brackets are nested more than {DEEPEST} deep")
    if any(line.count(".") > MOST_DOTS for line in text.split("\n")):  # in TOML only newlines end a line
        raise workspace_files.NotRead(f"a line has more than {MOST_DOTS} dots")
    return tomllib.loads(text)
