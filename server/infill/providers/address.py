"""Server addresses: joining them with API paths, and showing them without secrets. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_SECRET = re.compile(r"(?i)key|token|secret|sig|auth|passw|code|credential")
"""Names of query parameters whose values are never shown."""


def joined(url: str, path: str) -> str:
    """The full URL of an API path. The path of `url` is the API's root; its query (`?api-version=...`) is kept.

    `/v1` and `/api` are not repeated. Paths that are siblings of `/v1` (`/tokenize`, `/infill`, Ollama's `/api`) are resolved next to it.
    """
    scheme, host, own, query, _ = urlsplit(url)
    own = own.rstrip("/")
    if path.startswith("/v1/"):
        path = path[3:] if own else path
    else:
        own = own.removesuffix("/v1")
        if path.startswith("/api/"):
            own = own.removesuffix("/api")
    return urlunsplit((scheme, host, own + path, query, ""))


def shown(url: str) -> str:
    """The address for display, without the values of query parameters that look like keys."""
    parts = urlsplit(url)
    query = [(name, "********" if _SECRET.search(name) else value) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    return urlunsplit(parts._replace(query=urlencode(query, safe="*")))


def secrets(url: str) -> tuple[str, ...]:
    """The query values that messages must not contain."""
    return tuple(value for name, value in parse_qsl(urlsplit(url).query) if _SECRET.search(name))


def place(url: str) -> str:
    """Host and port, without a password; never raises."""
    return url.partition("//")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]


def without_password(url: str) -> str:
    """The address without user and password, even if it is not well-formed."""
    scheme, separator, rest = url.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]
