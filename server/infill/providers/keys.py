"""API keys of remote providers, from an environment variable, a file that only its owner can read, or the system's keyring.

A key is never part of a setting, a message, a log line, an argument or a `repr`. `Secret` hides it until it is put into a header. The keyring is
imported and read only for providers that the user logged in to, in a thread because it may show a dialog.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
from pathlib import Path

import msgspec

from infill import paths, state
from infill.errors import InfillError, ProviderRefused, ProviderUnavailable
from infill.settings import Endpoint

SERVICE = "infill"
KEYRING_SECONDS = 20.0
"""Keyring timeout in seconds; includes the time for the user to unlock it."""
LARGEST_KEY = 8192


class Secret:
    """An API key. Prints as asterisks when printed, formatted or serialized."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself, for the request header only."""
        return self._value

    def __repr__(self) -> str:
        return "********"

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, ("",)  # a pickled or copied Secret is empty


async def find(name: str, endpoint: Endpoint) -> Secret | None:
    """The key of a provider (`kind:name`), or None if it needs none. Raises ProviderRefused if a configured key cannot be read."""
    if endpoint.key_variable:
        return _from_variable(name, endpoint.key_variable)
    if endpoint.key_file:
        return _from_file(endpoint.key_file)
    if handed := os.environ.get(own_variable(name), "").strip():
        return _usable(handed, own_variable(name))
    if name in logins():
        return await _from_keyring(name)
    return None


def own_variable(name: str) -> str:
    """The environment variable in which an editor passes a key: INFILL_KEY_MY_LAB for `openai:my-lab`. It needs no setting."""
    return f"INFILL_KEY_{re.sub('[^A-Z0-9]', '_', name.partition(':')[2].upper())}"


def _from_variable(name: str, variable: str) -> Secret:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ProviderRefused(f"The environment variable {variable} with the key of {name} is not set.",
                              "Set it where your editor is started, or use `infill providers login`.")  # fmt: skip
    return _usable(value, variable)


def _from_file(name: str) -> Secret:
    file = Path(name).expanduser()
    try:
        status = file.stat()
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077):
            raise ProviderRefused(f"The key file {file} can be read by others.", f"`chmod 600 {file}` keeps it to yourself.")
        with file.open(encoding="utf-8") as stream:
            value = stream.read(LARGEST_KEY).strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ProviderRefused(f"The key file {file} cannot be read ({type(exc).__name__}).", "See keyFile in your settings.") from exc
    if not value:
        raise ProviderRefused(f"The key file {file} is empty.", "See keyFile in your settings.")
    return _usable(value, str(file))


def _usable(value: str, where: str) -> Secret:
    if not value.isascii() or not value.isprintable():
        raise ProviderRefused(f"What {where} holds is no key: a key has printable ASCII characters only.", "See `infill providers login`.")
    return Secret(value)


async def _from_keyring(name: str) -> Secret:
    try:
        value = await asyncio.wait_for(asyncio.to_thread(_read_keyring, name), KEYRING_SECONDS)
    except asyncio.TimeoutError as exc:
        raise ProviderUnavailable(f"The keyring with the key of {name} does not answer.", "Unlock it, or set keyVariable or keyFile.") from exc
    if not value:
        raise ProviderRefused(f"The keyring no longer has a key for {name}.", f"`infill providers login {name}` stores it again.")
    return _usable(value, "the keyring")


def _read_keyring(name: str) -> str:
    import keyring
    import keyring.errors

    try:
        return keyring.get_password(SERVICE, name) or ""
    except keyring.errors.KeyringError as exc:
        raise ProviderRefused(f"The keyring with the key of {name} cannot be read ({type(exc).__name__}).",
                              "Unlock it, or set keyVariable or keyFile.") from exc  # fmt: skip


def login(name: str, key: str) -> None:
    """Store a key in the keyring. Raises InfillError if no usable keyring is available."""
    import keyring
    import keyring.errors

    _usable(key, "what was typed")
    try:
        keyring.set_password(SERVICE, name, key)
    except (keyring.errors.KeyringError, RuntimeError) as exc:
        raise InfillError(f"There is no keyring that would keep the key ({type(exc).__name__}).",
                          "Set keyVariable or keyFile of this provider in your settings instead.") from exc  # fmt: skip
    _remember(logins() | {name})


def logout(name: str) -> bool:
    """Delete a key; False if there was none."""
    import keyring
    import keyring.errors

    known = name in logins()
    _remember(logins() - {name})
    with contextlib.suppress(keyring.errors.KeyringError, RuntimeError):
        keyring.delete_password(SERVICE, name)
        return True
    return known


def logins() -> frozenset[str]:
    """The providers whose key is in the keyring. Stored in a state file, so that the keyring is opened only if it has the key."""
    return frozenset(state.read(_file(), list[str]) or ())


def _remember(names: frozenset[str]) -> None:
    state.keep(_file(), msgspec.json.encode(sorted(names)))


def _file() -> Path:
    return paths.state_directory() / "logins.json"


def source(name: str, endpoint: Endpoint) -> str:
    """A description of where a provider's key comes from, without the key."""
    if endpoint.key_variable:
        return f"environment variable {endpoint.key_variable}" + ("" if os.environ.get(endpoint.key_variable) else " (not set)")
    if endpoint.key_file:
        return f"file {endpoint.key_file}"
    return "keyring" if name in logins() else "none"
