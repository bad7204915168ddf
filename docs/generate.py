"""Writes the pages that come from the code: `python docs/generate.py`. A test fails while a page and the code differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from infill import settings
from infill.models import catalog

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
CATALOGUE_MARK = "<!-- from here on generated -->\n"

INTRODUCTION = """# Settings

This page is generated from `server/infill/settings.py` by `python docs/generate.py`.

Settings are JSON, sent by the editor: as `initializationOptions`, or as the section `infill` of its configuration (both may change while
the server runs). The command line reads the same names from `settings.toml` in the configuration folder (`infill doctor` says where that is).
A value that is wrong is named in one message and its default is used; the server never refuses to start because of one.

```json
{ "completion": { "maxTokens": 96 }, "languages": { "markdown": false } }
```

A setting marked ● may also come from a workspace (a repository's own `.vscode/settings.json` or `.infill.toml`). The others are the user's
alone: a cloned repository can name no endpoint, key, header, file or command.
"""


def pages() -> dict[str, str]:
    """Path below the repository's root -> text."""
    return {"docs/settings.md": settings_page(), "docs/models.md": models_page()}


def models_page() -> str:
    """The page as it is written by hand, with the table below its mark made anew."""
    by_hand, mark, _ = (ROOT / "docs" / "models.md").read_text("utf-8").partition(CATALOGUE_MARK)
    entries = tomllib.loads((ROOT / "models.toml").read_text("utf-8"))["model"]
    rows = "".join(_model_row(msgspec.convert(entry, catalog.Entry)) for entry in entries)
    return f"{by_hand}{mark}\n| id | parameters | size | does | context | licence | pinned |\n|---|---|---|---|---|---|---|\n{rows}"


def _model_row(entry: catalog.Entry) -> str:
    exact = all(file.size for file in entry.files)
    size = f"{'' if exact else '~'}{entry.size / 1e9:.2f} GB" if entry.size else "not published"
    active = f" ({entry.active_parameters:g} at work)" if entry.active_parameters else ""
    licence = f"[{entry.licence}]({entry.licence_url}){'' if entry.commercial else ' **not commercial**'}"
    pinned = " and ".join(what for what, known in (("revision", entry.revision), ("SHA-256", all(file.sha256 for file in entry.files))) if known)
    does = ", ".join({"complete": "completes", "generate": "generates", "edit": "suggests next edits"}[role] for role in entry.roles)
    return f"| `{entry.id}` | {entry.parameters:g} B{active} | {size} | {does} | {entry.context} | {licence} | {pinned or 'no'} |\n"


def settings_page() -> str:
    return INTRODUCTION + "".join(_tables(settings.Settings, "")) + _endpoint()


def _tables(section: type[settings.Section], path: str) -> list[str]:
    rows, below = [], []
    for field in msgspec.structs.fields(section):
        name = path + field.encode_name
        if isinstance(field.type, type) and issubclass(field.type, settings.Section):
            below += _tables(field.type, f"{name}.")
        else:
            rows.append(_row(name, field))
    title = path.rstrip(".") or "infill"
    summary = (section.__doc__ or "").strip().split("\n")[0]
    return [f"\n## {title}\n{summary}\n\n| setting | value | default | meaning |\n|---|---|---|---|\n", *rows, *below]


def _endpoint() -> str:
    rows = [_row(field.encode_name, field) for field in msgspec.structs.fields(settings.Endpoint)]
    head = "\n## An entry of providers.remote\nThe key of the entry is its name.\n\n| setting | value | default | meaning |\n|---|---|---|---|\n"
    return head + "".join(rows)


def _row(name: str, field: Any) -> str:
    mark = " ●" if _workspace_may_set(name) else ""
    return f"| `{name}`{mark} | {_kind(field.type)} | {_default(field)} | {_meaning(field.type)} |\n"


def _workspace_may_set(name: str) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:size]) in settings.WORKSPACE_MAY_SET for size in range(1, len(parts) + 1))


def _meta(kind: Any) -> list[msgspec.Meta]:
    return [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]


def _meaning(kind: Any) -> str:
    return next((meta.description for meta in _meta(kind) if meta.description), "").replace("|", "\\|")


def _kind(kind: Any) -> str:
    limits = "".join(_limit(meta) for meta in _meta(kind))
    bare = getattr(kind, "__origin__", kind) if _meta(kind) else kind
    if get_origin(bare) is Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in get_args(bare))
    if get_args(bare) and type(None) in get_args(bare):
        return " or ".join(_kind(one) for one in get_args(bare) if one is not type(None)) + limits
    words = {bool: "true or false", int: "whole number", float: "number", str: "text"}
    if bare in words:
        return words[bare] + limits
    if get_origin(bare) is list:
        return f"list of {_kind(get_args(bare)[0])}"
    if get_origin(bare) is dict:
        value = get_args(bare)[1]
        return "entries by name, see below" if value is settings.Endpoint else f"name to {_kind(value)}"
    return str(bare)


def _limit(meta: msgspec.Meta) -> str:
    bounds = [(meta.ge, "from"), (meta.gt, "above"), (meta.le, "to"), (meta.lt, "below")]
    return "".join(f" {word} {bound:g}" if isinstance(bound, float) else f" {word} {bound}" for bound, word in bounds if bound is not None)


def _default(field: Any) -> str:
    value = field.default_factory() if field.default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT else field.default
    if value is msgspec.NODEFAULT:
        return "needed"
    return "unset" if value is None else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    for path, text in pages().items():
        (ROOT / path).write_text(text, "utf-8")
