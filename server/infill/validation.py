"""Problems with a value of the settings, in words: the value, and what is allowed. Pure; never quotes a regular expression."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec


def wrong_address(url: str) -> str:
    """The problem with a server's address, as the end of a sentence; empty: none. An empty address means the default one."""
    said = repr(re.sub(r"[^/@]*@", "********@", url))
    if not url:
        return ""
    if not url.lower().startswith(("http://", "https://")):
        example = "" if "://" in url or "@" in url else f", such as http://{url}"
        return f"{said} does not begin with http:// or https://{example}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = "", 0
    if port == 0:
        return f"{said} is not an address; the host is a name or an IP address, the port a number from 1 to 65535"
    if not host or not url.isprintable() or " " in url:
        return f"{said} is not an address; it is http://HOST:PORT or https://HOST:PORT"
    return ""


def wrong_header(name: str, value: Any) -> str:
    """The problem with an HTTP header, as the end of a sentence; empty: none. The value is not quoted, because it may be a key."""
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        return "the name of a header has letters, digits and hyphens only"
    valid = isinstance(value, str) and value.isascii() and (value.isprintable() or not value)
    return "" if valid else "the value of a header is a text of printable ASCII characters"


def wrong_value(value: Any, kind: Any) -> str | None:
    """The problem with a value, as the end of a sentence that begins with the setting's name; None: it is valid."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        place = re.search(r" - at `(?:key in )?\$([^`]*)`", str(exc))
        return f"{place[1] if place else ''}: {shown(value)} is not allowed; it is {allowed(kind)}"
    return None


def shown(value: Any) -> str:
    """A wrong value for a message. A long text is replaced by its length, because it may be a key in the wrong place."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _QUOTED else f"a text of {len(value)} characters"
    return str(value).lower() if isinstance(value, (bool, int, float)) else {"list": "a list", "dict": "a table"}.get(type(value).__name__, "null")


_QUOTED = 60
_KINDS = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "a text", "array": "a list", "object": "a table"}
_SEVERAL = {"string": "texts", "boolean": "values true or false", "integer": "whole numbers", "number": "numbers"}


def allowed(kind: Any) -> str:
    """The allowed values of a setting, in words."""
    schema = msgspec.json.schema(kind)
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    return " or ".join(_of(option) for option in options)


def _of(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    words = _KINDS.get(schema.get("type", ""), "a table")
    inner = schema.get("items") or schema.get("additionalProperties")
    words += f" of {_SEVERAL[inner['type']]}" if isinstance(inner, dict) and inner.get("type") in _SEVERAL else ""
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if low is not None and high is not None:
        return f"{words} from {low:g} to {high:g}"
    return words if low is None else f"{words} of at least {low:g}"
