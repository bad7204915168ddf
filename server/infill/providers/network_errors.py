"""Network exceptions as ProviderErrors: translates what httpx2, ssl and asyncio raise into a message with cause and next step."""

from __future__ import annotations

import contextlib
import re
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from infill.errors import InfillError, ProviderError, ProviderRefused, ProviderUnavailable
from infill.privacy import network
from infill.providers import address
from infill.providers.trouble import too_slow

SOCKS_HINT = "Install it with `pip install 'httpx2[socks]'`, or unset the variable."
PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
PROXY_HINT = "Correct or unset it, or name the server's host in NO_PROXY."


@contextlib.contextmanager
def translated(name: str, url: str, seconds: float, clean: Callable[[str], str]) -> Iterator[None]:
    """Translate the exceptions of one step of a request to the provider `name`.

    `seconds`: the deadline, for the message. `clean` turns text from outside into one short line without secrets.
    """
    try:
        yield
    except InfillError:
        raise
    except Exception as exc:
        raise _error(name, url, seconds, exc, clean) from exc


def _error(name: str, url: str, seconds: float, exc: Exception, clean: Callable[[str], str]) -> ProviderError:
    import httpx2

    inner: BaseException = exc
    while getattr(inner, "exceptions", ()):  # an exception group, which anyio raises after trying several addresses
        inner = inner.exceptions[0]  # type: ignore[attr-defined]
    reason = clean(str(inner) or type(inner).__name__)
    proxy = _proxy(url)
    if isinstance(exc, TimeoutError | httpx2.TimeoutException):
        if isinstance(exc, httpx2.ConnectTimeout):
            return ProviderUnavailable(f"{name} did not accept a connection{_through(proxy)}.")
        return too_slow(name, seconds)
    if (failure := _cause(exc, ssl.SSLError)) is not None:
        return _tls(name, url, failure, clean)
    if isinstance(exc, httpx2.ProxyError):
        return ProviderUnavailable(f"The proxy {proxy or 'of the environment'} refused the connection to {name} ({reason}).", PROXY_HINT)
    if isinstance(exc, httpx2.ConnectError):
        return ProviderUnavailable(f"{name} is not reachable at {address.place(url)}{_through(proxy)} ({reason}).", PROXY_HINT if proxy else "")
    if isinstance(exc, httpx2.InvalidURL | UnicodeError):
        return ProviderRefused(f"The address of {name} is not valid ({reason}).", f"Correct providers.remote.{name.partition(':')[2]}.url.")
    return ProviderUnavailable(f"The connection to {name} broke ({reason}).")


def _tls(name: str, url: str, failure: ssl.SSLError, clean: Callable[[str], str]) -> ProviderUnavailable:
    """The error for a TLS failure. For an untrusted certificate it names `caFile`; no setting disables verification."""
    entry = name.partition(":")[2]
    if isinstance(failure, ssl.SSLCertVerificationError):
        reason = clean(failure.verify_message or str(failure))
        hint = f"To trust it, set providers.remote.{entry}.caFile to its certificate, or to that of the authority that signed it (PEM)."
        if re.search(r"(?i)mismatch|not valid for", reason):
            hint = f"Set providers.remote.{entry}.url to a name that the certificate contains."
        elif "expired" in reason:
            hint = "Renew the certificate on the server, and check this computer's clock."
        return ProviderUnavailable(f"The certificate of {name} at {address.place(url)} is not trusted ({reason}).", hint)
    hint = f"If the server does not use TLS, write http:// in providers.remote.{entry}.url."
    return ProviderUnavailable(f"No TLS connection to {name} at {address.place(url)} ({clean(failure.reason or str(failure))}).", hint)


def _cause(exc: BaseException | None, kind: type[ssl.SSLError]) -> ssl.SSLError | None:
    """The TLS error in the chain of an exception's causes."""
    seen = 0
    while exc is not None and seen < 10:
        if isinstance(exc, kind):
            return exc
        exc, seen = exc.__cause__ or exc.__context__, seen + 1
    return None


def _through(proxy: str) -> str:
    return f" through the proxy {proxy}" if proxy else ""


def _proxy(url: str) -> str:
    """Host and port of the proxy in the environment for an address; empty if there is none."""
    found = _variable(url)[1]
    return address.place(found if "://" in found else f"//{found}") if found else ""


def _variable(url: str) -> tuple[str, str]:
    """The environment variable that sets the proxy for an address, and its value; empty if there is none."""
    parts, proxies = urlsplit(url), urllib.request.getproxies()
    host = parts.hostname or ""
    scheme = next((scheme for scheme in (parts.scheme, "all") if proxies.get(scheme)), "")
    if not scheme or network.is_loopback(host) or urllib.request.proxy_bypass_environment(host, proxies):  # type: ignore[attr-defined]
        return "", ""
    return f"{scheme.upper()}_PROXY", proxies[scheme]


def check_proxy(name: str, url: str) -> None:
    """Raise ProviderRefused if the environment's proxy for an address is invalid."""
    variable, proxy = _variable(url)
    if not proxy:
        return
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        usable = parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise _no_proxy(name, f"{variable} ({address.without_password(proxy)})")


def unusable_proxies(name: str, exc: Exception) -> ProviderRefused:
    """The error if no client can be created: a proxy in the environment is invalid, possibly one for other addresses."""
    names = ", ".join(f"{scheme.upper()}_PROXY" for scheme in urllib.request.getproxies() if scheme != "no")
    if isinstance(exc, ImportError):
        return ProviderRefused(f"{name} cannot be asked: a SOCKS proxy ({names}) needs the package socksio.", SOCKS_HINT)
    return _no_proxy(name, names)


def _no_proxy(name: str, which: str) -> ProviderRefused:
    return ProviderRefused(f"{name} cannot be asked: {which} does not name a usable proxy.",
                           f"A proxy is http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT. {PROXY_HINT}")  # fmt: skip
