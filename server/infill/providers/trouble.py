"""HTTP errors and broken connections as ProviderUnavailable or ProviderRefused with a message for the user.

A message names the provider and the setting to change. The server's own message is quoted in one cleaned, shortened line, never with the key.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from typing import Any

from infill.errors import ProviderRefused, ProviderUnavailable
from infill.privacy.text import clean

QUOTED = 200
"""Maximum number of characters quoted from a server's message."""
DEFAULT_BACKOFF, LONGEST_BACKOFF = 20.0, 600.0
"""Seconds after "too many requests": if the server gives none, and at most."""


class NotAsked(ProviderUnavailable):
    """No request was sent, because of privacy settings, the rate limit or the offline switch. It says nothing about the provider's health."""


class CannotFill(ProviderRefused):
    """The model cannot fill in the middle, as far as is known. It may still follow instructions."""


def too_slow(name: str, seconds: float) -> ProviderUnavailable:
    """The error for a provider that was reached but did not answer before the deadline."""
    error = ProviderUnavailable(f"{name} did not answer within {seconds:.1f} s.")
    error.slow = True
    return error


class Unsupported(ProviderRefused):
    """The server does not support a parameter of the request; `said` is its complete message."""

    def __init__(self, message: str, hint: str, said: str) -> None:
        super().__init__(message, hint)
        self.said = said


class Throttled(ProviderRefused):
    """Too many requests or no quota: no request for `retry_after` seconds."""

    def __init__(self, message: str, hint: str, retry_after: float) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


def words_of(body: bytes, hide: Sequence[str] = ()) -> str:
    """The message in an error's body, in any common format, as one short line; empty if there is none."""
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


def code_of(body: bytes) -> str:
    """The machine-readable code in an error's body in OpenAI's format; empty if there is none."""
    with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError):
        return str(json.loads(body)["error"]["code"])
    return ""


def shortened(text: str, hide: Sequence[str] = ()) -> str:
    """A server's message as one line for display, without control characters and hidden texts."""
    for secret in hide:
        text = text.replace(secret, "********") if secret else text
    line = " ".join(clean(text).split())
    return line if len(line) <= QUOTED else line[: QUOTED - 3] + "..."


def reported(message: dict[str, Any]) -> str:
    """The error in a message of a stream, in any common format; empty if the message is part of an answer."""
    if message.get("error") or "error" in (message.get("object"), message.get("type"), message.get("event")):
        return _said(message) or "no reason given"
    if message.keys() & _OF_AN_ANSWER and not isinstance(message.get("message"), str):
        return ""
    return _said({name: message[name] for name in ("errors", "message", "detail") if name in message})


_OF_AN_ANSWER = frozenset({"choices", "content", "response", "message", "done", "usage"})
"""A message with one of these fields is part of an answer, unless it has an error field."""
_NESTED = 5
"""Maximum depth when searching an error's JSON."""


def _said(data: Any, depth: int = _NESTED) -> str:
    if isinstance(data, str) or depth == 0:
        return data if isinstance(data, str) else ""
    if isinstance(data, list):
        return "; ".join(filter(None, (_said(entry, depth - 1) for entry in data[:3])))
    if not isinstance(data, dict):
        return ""
    said = (_said(data[key], depth - 1) for key in ("error", "errors", "message", "detail", "msg", "title") if key in data)
    words = next(filter(None, said), "")
    place, parameter = data.get("loc"), data.get("param")  # FastAPI and OpenAI put the field's name next to the message
    if isinstance(place, list) and place and words:
        return f"{place[-1]}: {words}"
    return f"{words} ({parameter})" if isinstance(parameter, str) and words and parameter not in words else words


def seconds_of(retry_after: str) -> float:
    """A Retry-After header in seconds; dates, which few servers send, count as unknown."""
    try:
        return min(max(float(retry_after), 1.0), LONGEST_BACKOFF)
    except ValueError:
        return DEFAULT_BACKOFF


FILLING = frozenset({"/v1/completions", "/infill", "/api/generate", "/v1/fim/completions"})
"""Paths for completions: a server without them may still support chat."""
_UNSUPPORTED = re.compile(
    r"(?i)unsupported|not supported|does ?n[o']t support|unrecogni[sz]ed|unknown|unexpected|not (?:permitted|allowed)"
    r"|forbidden|only the default|deprecated|cannot both"
)
_CHAT_ONLY = re.compile(r"(?i)chat/completions|\bchat model|only supports? chat")
_CANNOT_FILL = re.compile(r"(?i)infill is not supported|does not support insert|fim .*not supported")


def refusal(
    name: str, status: int, said: str, *, code: str = "", path: str = "", model: str = "", retry_after: str = "", location: str = ""
) -> ProviderUnavailable | ProviderRefused:
    """The error for an unsuccessful HTTP status. `said`: the server's message; `code`: its error code; `path`: the requested path."""
    entry = name.partition(":")[2] or name
    quoted = f": {said}" if said else ""
    if 300 <= status < 400:
        return ProviderRefused(f"{name} sends requests elsewhere ({location or 'no address given'}).",
                               f"Redirects are not followed. If you trust that address, set providers.remote.{entry}.url to it.")  # fmt: skip
    if status in {401, 403}:
        return ProviderRefused(f"{name} does not accept the key (HTTP {status}){quoted}.",
                               f"`infill providers login {name}` replaces it, or see providers.remote.{entry}.keyVariable and keyFile.")  # fmt: skip
    if status in {402, 429}:
        wait = seconds_of(retry_after)
        return Throttled(f"{name} takes no more requests for now (HTTP {status}){quoted}.",
                         f"It is left alone for {wait:.0f} s; providers.remote.{entry}.maxRequestsPerMinute avoids it.", wait)  # fmt: skip
    if path in FILLING and (_CHAT_ONLY.search(said) or _CANNOT_FILL.search(said)):
        return _cannot_fill(name, entry, status, quoted, chat_only=_CHAT_ONLY.search(said) is not None)
    if status in {404, 405}:
        return _not_found(name, entry, status, quoted, path, model)
    if status in {408, 425} or (status >= 500 and status != 501):
        return ProviderUnavailable(f"{name} cannot answer now (HTTP {status}){quoted}.")
    if status in {400, 422} and _UNSUPPORTED.search(f"{said} {code}"):
        return Unsupported(f"{name} refuses the request (HTTP {status}){quoted}.", f"See providers.remote.{entry} in your settings.", said)
    return ProviderRefused(f"{name} refuses the request (HTTP {status}){quoted}.", f"See providers.remote.{entry} in your settings.")


def _cannot_fill(name: str, entry: str, status: int, quoted: str, *, chat_only: bool) -> CannotFill:
    if chat_only:
        return CannotFill(f"{name} serves a chat model, which does not complete (HTTP {status}){quoted}.",
                          f'Set providers.remote.{entry}.family = "chat", or choose a model that completes.')  # fmt: skip
    return CannotFill(f"{name} cannot fill in the middle (HTTP {status}){quoted}.", f"See providers.remote.{entry}.model and family.")


def _not_found(name: str, entry: str, status: int, quoted: str, path: str, model: str) -> ProviderRefused:
    """The error for status 404 or 405: the model is unknown if the server's message mentions it, else the path."""
    if model and re.search(r"(?i)\bmodels?\b|deployment", quoted.replace(path, "")):
        return ProviderRefused(f"{name} does not know the model {model!r} (HTTP {status}){quoted}.",
                               f"See providers.remote.{entry}.model; `infill providers list --models` shows the models it has.")  # fmt: skip
    kind = CannotFill if path in FILLING else ProviderRefused
    chat = f' If it serves chat only, set providers.remote.{entry}.family = "chat".' if path == "/v1/completions" else ""
    return kind(f"{name} has no {path or 'such address'} (HTTP {status}){quoted}.", f"Check providers.remote.{entry}.url and kind.{chat}")
