"""The offline switch: which hosts may be connected to at all. Asked wherever a connection could be made; looks up no name and opens nothing."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

VARIABLES = ("INFILL_OFFLINE", "HF_HUB_OFFLINE")
"""Either, set to anything but nothing, 0, false, no or off, is as good as `privacy.offline`."""
_OFF = frozenset({"", "0", "false", "no", "off"})


def is_offline(setting: bool) -> bool:
    """Whether nothing but this machine itself may be talked to: by setting, by `infill --offline`, or by the environment."""
    return setting or any(os.environ.get(name, "").strip().lower() not in _OFF for name in VARIABLES)


def go_offline() -> None:
    """Take this process and all that it starts offline: before huggingface_hub is imported, which reads its variable once."""
    for name in VARIABLES:
        os.environ[name] = "1"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name: a name that would have to be looked up is not."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def may_connect(url: str, offline: bool) -> bool:
    """Whether a connection to `url` may be tried."""
    return not offline or is_loopback(urlsplit(url).hostname or "")
