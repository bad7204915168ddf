"""The one place where this room makes HTTP clients, and so the one place where the offline switch, TLS, redirects, sizes and times are decided.

Certificates are always verified: there is no switch. Redirects are never followed, so neither key nor code goes to another host. Connections are made
when first used and kept alive; httpx2 is imported then. What httpx2 raises leaves as ProviderError.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from infill.errors import ProviderRefused, ProviderUnavailable
from infill.privacy import network
from infill.providers import trouble
from infill.providers.keys import Secret
from infill.settings import Endpoint

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 3.0
"""Longest wait for a connection: a host that is up answers in less, and another provider may be waiting for its turn."""
KEEP_ALIVE_SECONDS = 90.0
LARGEST_LINE = 1024 * 1024
LARGEST_STREAM = 4 * 1024 * 1024
"""Bytes of one streamed answer."""
LARGEST_REPLY = 32 * 1024 * 1024
"""Bytes of a reply that describes a model: Ollama's verbose one holds the vocabulary."""
LARGEST_ERROR = 64 * 1024
SHOWN_HEADERS = frozenset({"accept", "accept-encoding", "content-type", "user-agent", "host", "content-length"})


class Deadline:
    """A moment after which there is no more waiting."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds until then; negative once it has passed."""
        return self._end - self._clock()

    def at_most(self, seconds: float) -> Deadline:
        """An own deadline that comes no later than this one, nor later than so many seconds from now."""
        return Deadline(max(0.0, min(seconds, self.left())), self._clock)

    def shorten(self, seconds: float) -> None:
        """Wait no longer than so many seconds from now."""
        self._end = min(self._end, self._clock() + seconds)


class Sent(msgspec.Struct, frozen=True):
    """A request as it left, without its secrets: what `infill.showLastRequest` shows."""

    provider: str
    url: str
    headers: dict[str, str]
    body: Any
    at: float
    """Seconds of the wall clock."""


class Connection:
    """The line to one server."""

    def __init__(self, name: str, endpoint: Endpoint, default_url: str, offline: bool, find_key: Callable[[], Awaitable[Secret | None]]) -> None:
        self.name = name
        self.endpoint = endpoint
        self.url = (endpoint.url or default_url).rstrip("/")
        self.last: Sent | None = None
        self._offline = offline
        self._find_key = find_key
        self._key: Secret | None = None
        self._client: httpx2.AsyncClient | None = None
        self._opening = asyncio.Lock()

    @property
    def is_loopback(self) -> bool:
        return network.is_loopback(urlsplit(self.url).hostname or "")

    def address(self, path: str) -> str:
        """Where a path of the API lies. A `url` with a path of its own is the API's root: `/v1` is not put after it a second time."""
        scheme, host, own, _, _ = urlsplit(self.url)
        if own.strip("/") and path.startswith("/v1/"):
            path = path[3:]
        return urlunsplit((scheme, host, own.rstrip("/") + path, "", ""))

    def check(self) -> None:
        """Raise ProviderUnavailable where this server may not be talked to, ProviderRefused where its address is unfit."""
        if not network.may_connect(self.url, network.is_offline(self._offline)):
            raise trouble.NotAsked(f"{self.name} is not asked: infill is offline.", "privacy.offline, --offline or HF_HUB_OFFLINE says so.")
        if "@" in urlsplit(self.url).netloc:
            entry = self.name.partition(":")[2]
            raise ProviderRefused(f"The address of {self.name} holds a password.",
                                  f"Leave it out of providers.remote.{entry}.url; `infill providers login {self.name}` keeps it safely.")  # fmt: skip

    async def lines(self, path: str, body: dict[str, Any], deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """Post, and give the answer line by line as it comes. Closing the iterator closes the connection."""
        async with self._response("POST", path, body, deadline) as response:
            held, total = b"", 0
            async for chunk in self._chunks(response, deadline):
                total += len(chunk)
                *whole, held = (held + chunk).split(b"\n")
                if total > LARGEST_STREAM or len(held) > LARGEST_LINE:
                    raise ProviderUnavailable(f"{self.name} sends without end; what it sent is dropped.")
                for line in whole:
                    yield line
            if held:
                yield held

    async def json(self, method: str, path: str, deadline: Deadline, body: dict[str, Any] | None = None) -> Any:
        """One request, one JSON value."""
        async with self._response(method, path, body, deadline) as response:
            content = await self._whole(response, deadline, LARGEST_REPLY)
        try:
            return msgspec.json.decode(content)
        except msgspec.DecodeError as exc:
            raise self.garbled(content) from exc

    def garbled(self, content: bytes) -> ProviderUnavailable:
        """The error for an answer that is not what the API promises."""
        said = trouble.words_of(content[: trouble.QUOTED * 4], self._hidden())
        return ProviderUnavailable(f"{self.name} answers with something that is no answer{f': {said}' if said else ''}.",
                                   f"Is providers.remote.{self.name.partition(':')[2]}.url right?")  # fmt: skip

    def complaint(self, said: str) -> ProviderUnavailable:
        """The error for a server that reports trouble in the middle of its answer."""
        return ProviderUnavailable(f"{self.name} gave up: {trouble.shortened(said, self._hidden()) or 'no reason given'}.")

    async def aclose(self) -> None:
        """Close all connections; the next request opens one anew."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def forget_key(self) -> None:
        """Look for the key again with the next request: it was refused."""
        self._key = None

    @contextlib.asynccontextmanager
    async def _response(self, method: str, path: str, body: dict[str, Any] | None, deadline: Deadline) -> AsyncIterator[httpx2.Response]:
        """A successful answer whose body has not been read yet, or a ProviderError."""
        self.check()
        client = await self._open()
        request = client.build_request(
            method, self.address(path), content=None if body is None else msgspec.json.encode(body), headers=await self._headers()
        )
        request.extensions = {**request.extensions, "timeout": self._patience(deadline)}
        if body is not None:
            self._remember(request, body)
        with self._translated(deadline):
            response = await client.send(request, stream=True)
        try:
            if response.status_code != 200 or response.headers.get("content-encoding", "identity") != "identity":
                await self._refuse(response, deadline, str((body or {}).get("model", "")))
            yield response
        finally:
            with contextlib.suppress(Exception):  # the answer is given or given up: how its connection ends changes nothing
                await response.aclose()

    async def _refuse(self, response: httpx2.Response, deadline: Deadline, model: str) -> None:
        if response.status_code == 200:
            raise self.garbled(b"")
        said = ""
        with contextlib.suppress(ProviderUnavailable):  # the status says enough
            said = trouble.words_of(await self._whole(response, deadline, LARGEST_ERROR), self._hidden())
        headers = response.headers
        if response.status_code in {401, 403}:
            self.forget_key()
        location = trouble.shortened(headers.get("location", "").partition("?")[0], self._hidden())
        raise trouble.refusal(self.name, response.status_code, said, model=model, retry_after=headers.get("retry-after", ""), location=location)

    async def _whole(self, response: httpx2.Response, deadline: Deadline, limit: int) -> bytes:
        content = bytearray()
        async for chunk in self._chunks(response, deadline):
            content += chunk
            if len(content) > limit:
                raise ProviderUnavailable(f"{self.name} sends without end; what it sent is dropped.")
        return bytes(content)

    async def _chunks(self, response: httpx2.Response, deadline: Deadline) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, each piece waited for no longer than the deadline allows."""
        import anyio

        chunks = response.aiter_raw()
        while True:
            with self._translated(deadline):
                try:
                    with anyio.fail_after(max(0.0, deadline.left())):
                        chunk = await chunks.__anext__()
                except StopAsyncIteration:
                    return
            yield chunk

    @contextlib.contextmanager
    def _translated(self, deadline: Deadline) -> Any:
        """Foreign errors become ours here, and nowhere else."""
        import httpx2

        try:
            yield
        except (TimeoutError, httpx2.TimeoutException) as exc:
            waited = "did not accept a connection" if isinstance(exc, httpx2.ConnectTimeout) else f"did not answer within {deadline.seconds:.1f} s"
            raise ProviderUnavailable(f"{self.name} {waited}.") from exc
        except httpx2.ConnectError as exc:
            raise ProviderUnavailable(f"{self.name} is not reachable at {self._shown()} ({self._reason(exc)}).") from exc
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as exc:
            raise ProviderUnavailable(f"The connection to {self.name} broke ({self._reason(exc)}).") from exc

    def _reason(self, exc: BaseException) -> str:
        return trouble.shortened(str(exc) or type(exc).__name__, self._hidden())

    def _shown(self) -> str:
        """The server's address without what may be secret in it."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    async def _headers(self) -> dict[str, str]:
        if self._key is None:
            self._key = await self._find_key()
        headers = {
            "accept": "application/json, text/event-stream",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": "infill",
        }
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key.reveal()}"
        return headers | {name.lower(): value for name, value in self.endpoint.headers.items()}

    def _hidden(self) -> tuple[str, ...]:
        """What no message may quote."""
        return (*([self._key.reveal()] if self._key else []), *(value for value in self.endpoint.headers.values() if len(value) > 6))

    def _remember(self, request: httpx2.Request, body: dict[str, Any]) -> None:
        headers = {name: value if name in SHOWN_HEADERS else "********" for name, value in request.headers.items()}
        self.last = Sent(self.name, str(request.url), headers, body, time.time())

    def _patience(self, deadline: Deadline) -> dict[str, float]:
        left = max(0.001, deadline.left())
        return {"connect": min(CONNECT_SECONDS, left), "read": left, "write": left, "pool": left}

    async def _open(self) -> httpx2.AsyncClient:
        async with self._opening:
            if self._client is None:
                await asyncio.to_thread(importlib.import_module, "httpx2")
                self._client = self._new_client(await asyncio.to_thread(self._certificates))
            return self._client

    def _new_client(self, certificates: Any) -> httpx2.AsyncClient:
        import httpx2

        for chatty in ("httpx2", "httpcore2"):  # their lines quote addresses and headers, in which a server may repeat the key
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        # a proxy would carry even what is meant for this machine itself to another one
        direct = self.is_loopback
        return httpx2.AsyncClient(
            verify=certificates,
            trust_env=not direct,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=8, max_keepalive_connections=4, keepalive_expiry=KEEP_ALIVE_SECONDS),
        )

    def _certificates(self) -> Any:
        """The system's trust store, and the user's own file beside it."""
        import ssl

        import httpx2

        if urlsplit(self.url).scheme == "http" and self.is_loopback:
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used; it trusts nobody, and costs nothing to make
        context = httpx2.create_ssl_context()
        if self.endpoint.ca_file:
            try:
                context.load_verify_locations(self.endpoint.ca_file)
            except (OSError, ssl.SSLError) as exc:
                raise ProviderRefused(f"The certificates in {self.endpoint.ca_file} cannot be used ({exc}).",
                                      f"See providers.remote.{self.name.partition(':')[2]}.caFile.") from exc  # fmt: skip
        return context
