"""Writes the extension's `contributes.configuration` from the server's own settings: `python scripts/configuration.py [--check]`.

The settings of the extension itself stand here. With `--check` nothing is written and the exit code is 1 when the file has drifted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from infill.settings import WORKSPACE_MAY_SET, Settings

PACKAGE = Path(__file__).parents[1] / "package.json"
OWN: dict[str, Any] = {
    "infill.server.command": {
        "type": "array",
        "items": {"type": "string"},
        "default": [],
        "scope": "machine",
        "markdownDescription": 'Command that starts the server, such as `["/home/me/.venv/bin/infill"]`. Empty: it is looked for.',
    },
    "infill.server.package": {
        "type": "string",
        "default": "",
        "scope": "machine",
        "markdownDescription": "What the Install button installs, as pip understands it. Empty: the server that came with the extension.",
    },
    "infill.trace.server": {
        "type": "string",
        "enum": ["off", "messages", "verbose"],
        "default": "off",
        "markdownDescription": "Write the messages between editor and server into the log: `messages` their names and times, "
        "`verbose` also what is in them, your code included.",
    },
}
KEPT = ("type", "enum", "items", "default", "minimum", "maximum", "additionalProperties", "anyOf")


def inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema without references: VS Code's settings page does not follow them."""
    if isinstance(schema, list):
        return [inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: inlined(value, definitions) for key, value in schema.items()}


def leaf(schema: dict[str, Any]) -> dict[str, Any]:
    """One setting as the settings page wants it."""
    kept = {key: schema[key] for key in KEPT if key in schema}
    if options := kept.pop("anyOf", None):
        types = [option.get("type", "string") for option in options]
        kept |= {key: value for option in options for key, value in option.items() if key in KEPT} | {"type": types}
        if "enum" in kept:
            kept["enum"] = [*kept["enum"], None]
    if "enum" in kept:
        kept.setdefault("type", "string")
    return kept | {"markdownDescription": schema.get("description", "")}


def scope(name: str) -> str:
    """Machine-scoped settings cannot be set by a workspace at all: what a cloned repository must not decide."""
    if name == "infill.enabled":  # evaluated in the editor, which knows each document's language
        return "language-overridable"
    parts = name.split(".")
    return "resource" if any(".".join(parts[1:end]) in WORKSPACE_MAY_SET for end in range(2, len(parts) + 1)) else "machine"


def properties() -> dict[str, Any]:
    """Every setting of the server by its dotted name."""
    (root,), definitions = msgspec.json.schema_components([Settings])
    found: dict[str, Any] = {}

    def walk(name: str, schema: dict[str, Any], default: Any) -> None:
        target = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        # a group of settings, not a setting whose value is an object with free names
        if "properties" in target:
            for key, value in target["properties"].items():
                walk(f"{name}.{key}", value, default[key])
        else:
            found[name] = leaf(inlined(schema, definitions)) | {"default": default, "scope": scope(name)}

    walk("infill", root, msgspec.to_builtins(Settings()))
    return OWN | found


GROUPS = {
    "": "General",
    "completion": "Completions",
    "latency": "Completions",
    "nextEdit": "Next Edits",
    "generate": "Generated Code",
    "models": "Models",
    "providers": "Remote Providers",
    "privacy": "Privacy",
    "engine": "Engine",
    "server": "Server and Log",
    "trace": "Server and Log",
    "logLevel": "Server and Log",
}
"""The title on the settings page, by the second part of a setting's name; titles are shown in this order."""
LATE = ("deadlineMs", "temperature", "topP", "minP", "seed")
"""Settings that few people change: at the end of their group."""
OPTIONS = {
    "infill.trace.server": {
        "off": "Log no messages.",
        "messages": "Log names and times of the messages.",
        "verbose": "Log the messages with their content, your code included.",
    },
    "infill.logLevel": {
        "error": "Failures only.",
        "warning": "Failures and what was ignored.",
        "info": "What was done.",
        "debug": "What was done, in detail.",
    },
    "infill.completion.popup": {
        "auto": "Only in editors without ghost text.",
        "always": "In every editor.",
        "never": "In no editor.",
    },
    "infill.completion.eagerness": {
        "low": "Show few suggestions, which are most likely right.",
        "medium": "Show suggestions that are likely right.",
        "high": "Show all suggestions.",
    },
    "infill.engine.kvType": {
        "f16": "Full precision.",
        "q8_0": "Half the memory of f16.",
        "q4_0": "A quarter of the memory of f16, with less precision.",
    },
    "infill.nextEdit.mode": {
        "off": "Suggest no next edits.",
        "hint": "Mark the line of the next edit.",
        "full": "Show the next edit in the text.",
    },
    "infill.nextEdit.eagerness": {
        "low": "What follows from a changed definition.",
        "medium": "Also edits that were made twice.",
        "high": "Also edits that were made once.",
    },
}
"""The meaning of each value of a setting, in the order in which the settings page offers them."""


def described(name: str, setting: dict[str, Any]) -> dict[str, Any]:
    """With a description for each value. Raises KeyError for a value that has none."""
    if "enum" not in setting or not isinstance(setting.get("enum"), list):
        return setting
    meanings = OPTIONS[name]
    values = [value for value in meanings if value in setting["enum"]] + [value for value in setting["enum"] if value not in meanings]
    return setting | {"enum": values, "enumDescriptions": [meanings[value] if value is not None else "Automatic." for value in values]}


def groups() -> list[dict[str, Any]]:
    """The settings page: titled groups, and in each the settings in order."""
    found: dict[str, dict[str, Any]] = {title: {} for title in GROUPS.values()}
    for name, setting in properties().items():
        parts = name.split(".")
        title = GROUPS.get(parts[1], GROUPS[""])
        order = len(found[title]) + (100 if parts[-1] in LATE else 0)
        found[title][name] = described(name, setting) | {"order": order}
    return [{"title": title, "order": number, "properties": settings} for number, (title, settings) in enumerate(found.items())]


def main() -> int:
    package = json.loads(PACKAGE.read_text("utf-8"))
    wanted = groups()
    if "--check" in sys.argv:
        return int(package["contributes"]["configuration"] != wanted)
    package["contributes"]["configuration"] = wanted
    PACKAGE.write_text(json.dumps(package, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
