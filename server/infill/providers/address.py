"""The address of a server: joined with the paths of its API, and shown without what may be secret in it. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_SECRET = re.compile(r"(?i)key|token|secret|sig|auth|passw|code|credential")
"""Names of query parameters whose values are not shown."""


def joined(url: str, path: str) -> str:
    """Where a path of the API lies. A `url` with a path of its own is the API's root; its query (`?api-version=...`) is kept.

    `/v1` and `/api` are not repeated, and what lies beside `/v1` (`/tokenize`, `/infill`, Ollama's `/api`) is looked for there.
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
    """The address without the values of query parameters that look like keys, for a person to read."""
    parts = urlsplit(url)
    query = [(name, "********" if _SECRET.search(name) else value) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    return urlunsplit(parts._replace(query=urlencode(query, safe="*")))


def secrets(url: str) -> tuple[str, ...]:
    """Values in the query that no message may quote."""
    return tuple(value for name, value in parse_qsl(urlsplit(url).query) if _SECRET.search(name))


def place(url: str) -> str:
    """Host and port, without a password; never raises."""
    return url.partition("//")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]


def without_password(url: str) -> str:
    """An address that may not be well-formed, without user and password."""
    scheme, separator, rest = url.rpartition("://")
    return scheme + separator + rest.rpartition("@")[2]
