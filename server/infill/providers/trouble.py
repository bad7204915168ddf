"""What can go wrong between us and a server, as sentences: HTTP answers and broken connections become ProviderUnavailable or ProviderRefused here.

A sentence names the provider and the setting that would help. What a server says is quoted in one cleaned, shortened line, and never holds the key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from infill.errors import ProviderRefused, ProviderUnavailable
from infill.privacy.text import clean

QUOTED = 200
"""Characters of a server's own words that are passed on."""
DEFAULT_BACKOFF, LONGEST_BACKOFF = 20.0, 600.0
"""Seconds after "too many requests", where the server names none, and at most."""


class NotAsked(ProviderUnavailable):
    """We chose not to ask: privacy, the rate limit, the offline switch. Says nothing of the provider's health."""


class CannotFill(ProviderRefused):
    """Its model cannot fill in the middle, as far as is known: it may still follow instructions."""


class Throttled(ProviderRefused):
    """Too many requests or no quota: not to be asked again for `retry_after` seconds."""

    def __init__(self, message: str, hint: str, retry_after: float) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


def words_of(body: bytes, hide: Sequence[str] = ()) -> str:
    """What an error's body says, in whichever of the usual shapes, as one short line; empty where it says nothing readable."""
    text = body.decode("utf-8", "replace")
    try:
        said = _said(json.loads(text))
    except (ValueError, RecursionError):
        if "<html" in text.lower() or text.lstrip()[:9].lower() == "<!doctype":
            title = re.search(r"<title[^>]*>([^<]{1,200})", text, re.IGNORECASE)
            said = f"a web page{f' ({title[1].strip()})' if title else ''}"
        else:
            said = text
    return shortened(said, hide)


def shortened(text: str, hide: Sequence[str] = ()) -> str:
    """A server's words as one line that may be shown: without control characters and without what must stay hidden."""
    for secret in hide:
        text = text.replace(secret, "********") if secret else text
    line = " ".join(clean(text).split())
    return line if len(line) <= QUOTED else line[: QUOTED - 3] + "..."


def _said(data: Any) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, list):
        return "; ".join(filter(None, (_said(entry) for entry in data[:3])))
    if not isinstance(data, dict):
        return ""
    return next((said for key in ("error", "message", "detail", "msg") if key in data and (said := _said(data[key]))), "")


def seconds_of(retry_after: str) -> float:
    """A Retry-After header in seconds; a date, which few servers send, counts as unknown."""
    try:
        return min(max(float(retry_after), 1.0), LONGEST_BACKOFF)
    except ValueError:
        return DEFAULT_BACKOFF


def refusal(
    name: str, status: int, said: str, *, model: str = "", retry_after: str = "", location: str = ""
) -> ProviderUnavailable | ProviderRefused:
    """The error for an HTTP status that is no success."""
    entry = name.partition(":")[2] or name
    quoted = f": {said}" if said else ""
    if 300 <= status < 400:
        return ProviderRefused(f"{name} sends requests elsewhere ({location or 'no address given'}).",
                               f"Redirects are not followed. If you trust that address, set providers.remote.{entry}.url to it.")  # fmt: skip
    if status in {401, 403}:
        return ProviderRefused(f"{name} does not accept the key (HTTP {status}){quoted}.",
                               f"`infill providers login {name}` sets it anew, or see providers.remote.{entry}.keyVariable and keyFile.")  # fmt: skip
    if status in {402, 429}:
        wait = seconds_of(retry_after)
        return Throttled(f"{name} takes no more requests for now (HTTP {status}){quoted}.",
                         f"It is left alone for {wait:.0f} s; providers.remote.{entry}.maxRequestsPerMinute avoids it.", wait)  # fmt: skip
    if status == 404:
        return ProviderRefused(f"{name} does not know {f'the model {model!r}' if model else 'this request'} (HTTP 404){quoted}.",
                               f"See providers.remote.{entry}.model and url; `infill providers list` shows the models it has.")  # fmt: skip
    if status in {408, 425} or (status >= 500 and status != 501):
        return ProviderUnavailable(f"{name} cannot answer now (HTTP {status}){quoted}.")
    return ProviderRefused(f"{name} refuses the request (HTTP {status}){quoted}.", f"See providers.remote.{entry} in your settings.")
