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


def main() -> int:
    package = json.loads(PACKAGE.read_text("utf-8"))
    wanted = properties()
    if "--check" in sys.argv:
        return int(package["contributes"]["configuration"]["properties"] != wanted)
    package["contributes"]["configuration"]["properties"] = wanted
    PACKAGE.write_text(json.dumps(package, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
