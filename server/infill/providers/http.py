"""The HTTP client for all remote providers. Enforces the offline switch, TLS, redirects, sizes and timeouts in one place.

Certificates are always verified; no setting disables that. Redirects are never followed, so neither key nor code reaches another host.
Connections are opened at first use and kept alive; httpx2 is imported then. Every wait, from the connection to the last byte, ends at the
request's deadline. network_errors translates the exceptions of httpx2.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from infill.errors import InfillError, ProviderRefused, ProviderUnavailable
from infill.privacy import network
from infill.providers import address, network_errors, stream, trouble
from infill.providers.keys import Secret
from infill.settings import Endpoint

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 3.0
"""Connection timeout: a host that is up answers sooner, and the next provider may be waiting."""
KEEP_ALIVE_SECONDS = 90.0
LARGEST_STREAM = 4 * 1024 * 1024
"""Bytes of one streamed answer."""
LARGEST_REPLY = 32 * 1024 * 1024
"""Bytes of a reply that describes a model; Ollama's verbose reply contains the vocabulary."""
LARGEST_ERROR = 64 * 1024
DECODED = frozenset({"", "identity", "gzip", "deflate"})
"""Content encodings that are decoded. Requests ask for `identity`, but some proxies compress anyway."""
SHOWN_HEADERS = frozenset({"accept", "accept-encoding", "content-type", "user-agent", "host", "content-length"})

T = TypeVar("T")


class Deadline:
    """A point in time at which all waits end."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds until the deadline; negative after it."""
        return self._end - self._clock()

    def at_most(self, seconds: float) -> Deadline:
        """A new deadline: this one, or this many seconds from now if that is earlier."""
        return Deadline(max(0.0, min(seconds, self.left())), self._clock)

    def shorten(self, seconds: float) -> None:
        """Move the deadline to at most this many seconds from now."""
        self._end = min(self._end, self._clock() + seconds)


class Sent(msgspec.Struct, frozen=True):
    """A request as sent, without secrets; shown by `infill.showLastRequest`."""

    provider: str
    url: str
    headers: dict[str, str]
    body: Any
    at: float
    """Wall-clock time in seconds."""


class Connection:
    """The HTTP connection to one server."""

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
        return network.is_loopback(self.host)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    def check(self) -> None:
        """Raise ProviderUnavailable if this server must not be contacted, ProviderRefused if its address is invalid."""
        if not network.may_connect(self.url, network.is_offline(self._offline)):
            raise trouble.NotAsked(f"{self.name} is not asked: infill is offline.", "privacy.offline, --offline or HF_HUB_OFFLINE says so.")
        if "@" in urlsplit(self.url).netloc:
            entry = self.name.partition(":")[2]
            raise ProviderRefused(f"The address of {self.name} holds a password.",
                                  f"Leave it out of providers.remote.{entry}.url; `infill providers login {self.name}` keeps it safely.")  # fmt: skip

    async def messages(self, path: str, body: dict[str, Any], deadline: Deadline) -> AsyncGenerator[dict[str, Any], None]:
        """Send a POST request, and yield the JSON messages of the answer as they arrive. Closing the iterator closes the connection.

        Raises ProviderUnavailable if the server reports an error instead of a message.
        """
        async with self._response("POST", path, body, deadline) as response:
            chunks = self._chunks(response, deadline, LARGEST_STREAM)
            messages, begun = stream.messages(chunks), False
            async with contextlib.aclosing(chunks), contextlib.aclosing(messages):
                try:
                    async for message in messages:
                        if said := trouble.reported(message):
                            raise self.complaint(said)
                        begun = True
                        yield message
                except stream.NotUnderstood as exc:
                    raise (ProviderUnavailable(f"{self.name} sent a damaged message.") if begun else self.garbled(exc.args[0])) from exc
                except stream.EventError as exc:
                    raise self.complaint(trouble.words_of(exc.args[0].encode("utf-8", "replace"))) from exc

    async def json(self, method: str, path: str, deadline: Deadline, read: Callable[[Any], T], body: dict[str, Any] | None = None) -> T:
        """The result of `read` for the JSON reply to one request. An invalid reply becomes a ProviderUnavailable."""
        async with self._response(method, path, body, deadline) as response:
            content = await self._whole(response, deadline, LARGEST_REPLY)
        with self.understood(content):
            return read(msgspec.json.decode(content))

    @contextlib.contextmanager
    def understood(self, content: bytes) -> Iterator[None]:
        """Convert any exception while reading a reply (wrong types, 1e999, deep nesting) to a ProviderUnavailable."""
        try:
            yield
        except InfillError:
            raise
        except Exception as exc:
            raise self.garbled(content) from exc

    def garbled(self, content: bytes) -> ProviderUnavailable:
        """The error for a reply that violates the API."""
        said = trouble.words_of(content[: trouble.QUOTED * 4], self._hidden())
        return ProviderUnavailable(f"{self.name} sent an answer that is not in the format of its API{f': {said}' if said else ''}.",
                                   f"Check url and kind of providers.remote.{self.name.partition(':')[2]}.")  # fmt: skip

    def complaint(self, said: str) -> ProviderUnavailable:
        """The error for an error message inside a stream."""
        return ProviderUnavailable(f"{self.name} reports an error: {trouble.shortened(said, self._hidden()) or 'no reason given'}.")

    async def aclose(self) -> None:
        """Close all connections; the next request opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def forget_key(self) -> None:
        """Read the key again for the next request, because it was refused."""
        self._key = None

    @contextlib.asynccontextmanager
    async def _response(self, method: str, path: str, body: dict[str, Any] | None, deadline: Deadline) -> AsyncIterator[httpx2.Response]:
        """A successful response whose body has not been read yet. Raises ProviderError."""
        self.check()
        headers = await self._headers()
        with self._translated(deadline):
            client = await self._open()
            content = None if body is None else msgspec.json.encode(body)
            request = client.build_request(method, address.joined(self.url, path), content=content, headers=headers)
            request.extensions = {**request.extensions, "timeout": self._patience(deadline)}
            if body is not None:
                self._remember(request, body)
            response = await _within(deadline, client.send(request, stream=True))
        try:
            if response.status_code != 200:
                await self._refuse(response, deadline, path, str((body or {}).get("model", "")))
            if (encoding := response.headers.get("content-encoding", "").strip().lower()) not in DECODED:
                raise ProviderUnavailable(f"{self.name} compresses its answer in a way that was not asked for ({self._clean(encoding)}).")
            yield response
        finally:
            with contextlib.suppress(Exception):  # the answer is complete or abandoned: an error while its connection closes has no effect
                await response.aclose()

    async def _refuse(self, response: httpx2.Response, deadline: Deadline, path: str, model: str) -> None:
        content = b""
        with contextlib.suppress(ProviderUnavailable):  # the status is sufficient for a message
            content = await self._whole(response, deadline, LARGEST_ERROR)
        said, code = trouble.words_of(content, self._hidden()), trouble.code_of(content)
        headers = response.headers
        if response.status_code in {401, 403}:
            self.forget_key()
        location = self._clean(headers.get("location", "").partition("?")[0])
        wait = headers.get("retry-after", "")
        raise trouble.refusal(self.name, response.status_code, said, code=code, path=path, model=model, retry_after=wait, location=location)

    async def _whole(self, response: httpx2.Response, deadline: Deadline, limit: int) -> bytes:
        async with contextlib.aclosing(self._chunks(response, deadline, limit)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def _chunks(self, response: httpx2.Response, deadline: Deadline, limit: int) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, at most `limit` bytes. Each wait ends at the deadline."""
        chunks, total = response.aiter_bytes(), 0
        while True:
            with self._translated(deadline):
                try:
                    chunk = await _within(deadline, chunks.__anext__())
                except StopAsyncIteration:
                    return
            total += len(chunk)
            if total > limit:
                raise ProviderUnavailable(f"{self.name} sends without end; what it sent is dropped.")
            yield chunk

    def _translated(self, deadline: Deadline) -> contextlib.AbstractContextManager[None]:
        return network_errors.translated(self.name, self.url, deadline.seconds, self._clean)

    def _clean(self, said: str) -> str:
        """Text from outside as one short line without secrets."""
        return trouble.shortened(said, self._hidden())

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
        """Texts that messages must not contain."""
        return (
            *([self._key.reveal()] if self._key else []),
            *(value for value in self.endpoint.headers.values() if len(value) > 6),
            *address.secrets(self.url),
        )

    def _remember(self, request: httpx2.Request, body: dict[str, Any]) -> None:
        headers = {name: value if name in SHOWN_HEADERS else "********" for name, value in request.headers.items()}
        self.last = Sent(self.name, address.shown(str(request.url)), headers, body, time.time())

    def _patience(self, deadline: Deadline) -> dict[str, float]:
        left = max(0.001, deadline.left())
        return {"connect": min(CONNECT_SECONDS, left), "read": left, "write": left, "pool": left}

    async def _open(self) -> httpx2.AsyncClient:
        async with self._opening:
            if self._client is None:
                await asyncio.to_thread(importlib.import_module, "httpx2")
                network_errors.check_proxy(self.name, self.url)
                certificates = await asyncio.to_thread(self._certificates)
                try:
                    self._client = self._new_client(certificates)
                except Exception as exc:  # the only possible cause is an invalid proxy in the environment
                    raise network_errors.unusable_proxies(self.name, exc) from exc
            return self._client

    def _new_client(self, certificates: Any) -> httpx2.AsyncClient:
        import httpx2

        for chatty in ("httpx2", "httpcore2"):  # their records quote addresses and headers, in which a server may repeat the key
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        # a proxy would send requests for this machine to another one
        direct = self.is_loopback
        return httpx2.AsyncClient(
            verify=certificates,
            trust_env=not direct,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=8, max_keepalive_connections=4, keepalive_expiry=KEEP_ALIVE_SECONDS),
        )

    def _certificates(self) -> Any:
        """The system's trust store plus the user's `caFile`."""
        import ssl

        import httpx2

        if urlsplit(self.url).scheme == "http" and self.is_loopback:
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # a placeholder that is never used: it trusts no certificate and is cheap to create
        context = httpx2.create_ssl_context()
        if self.endpoint.ca_file:
            try:
                context.load_verify_locations(self.endpoint.ca_file)
            except (OSError, ssl.SSLError) as exc:
                raise ProviderRefused(f"The certificates in {self.endpoint.ca_file} cannot be used ({exc}).",
                                      f"See providers.remote.{self.name.partition(':')[2]}.caFile.") from exc  # fmt: skip
        return context


async def _within(deadline: Deadline, step: Awaitable[T]) -> T:
    """Await a step of a request. Raises TimeoutError at the deadline, even if the server keeps sending headers or `103 Early Hints`."""
    import anyio

    with anyio.fail_after(max(0.0, deadline.left())):
        return await step
