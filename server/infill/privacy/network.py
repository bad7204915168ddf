"""The offline switch: which hosts may be connected to. Used before every connection; resolves no name and opens no connection."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

VARIABLES = ("INFILL_OFFLINE", "HF_HUB_OFFLINE")
"""Either of them, set to a value other than empty, 0, false, no or off, has the effect of `privacy.offline`."""
_OFF = frozenset({"", "0", "false", "no", "off"})


def is_offline(setting: bool) -> bool:
    """Whether only this machine may be connected to: by setting, by `infill --offline`, or by the environment."""
    return setting or any(os.environ.get(name, "").strip().lower() not in _OFF for name in VARIABLES)


def go_offline() -> None:
    """Set this process and its child processes offline. Call it before huggingface_hub is imported, which reads its variable only once."""
    for name in VARIABLES:
        os.environ[name] = "1"


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine without name resolution."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def may_connect(url: str, offline: bool) -> bool:
    """Whether a connection to `url` is allowed."""
    return not offline or is_loopback(urlsplit(url).hostname or "")
