"""The one place where this room makes HTTP clients, and so the one place where the offline switch, TLS, redirects, sizes and times are decided.

Certificates are always verified: there is no switch. Redirects are never followed, so neither key nor code goes to another host. Connections are made
when first used and kept alive; httpx2 is imported then. Every wait, from the connection to the last byte, ends at the request's deadline; what httpx2
raises is translated by network_errors.
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
"""Longest wait for a connection: a host that is up answers in less, and another provider may be waiting for its turn."""
KEEP_ALIVE_SECONDS = 90.0
LARGEST_STREAM = 4 * 1024 * 1024
"""Bytes of one streamed answer."""
LARGEST_REPLY = 32 * 1024 * 1024
"""Bytes of a reply that describes a model: Ollama's verbose one holds the vocabulary."""
LARGEST_ERROR = 64 * 1024
DECODED = frozenset({"", "identity", "gzip", "deflate"})
"""Content encodings that are undone, although `identity` is asked for: some proxies compress all the same."""
SHOWN_HEADERS = frozenset({"accept", "accept-encoding", "content-type", "user-agent", "host", "content-length"})

T = TypeVar("T")


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
        return network.is_loopback(self.host)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    def check(self) -> None:
        """Raise ProviderUnavailable where this server may not be talked to, ProviderRefused where its address is unfit."""
        if not network.may_connect(self.url, network.is_offline(self._offline)):
            raise trouble.NotAsked(f"{self.name} is not asked: infill is offline.", "privacy.offline, --offline or HF_HUB_OFFLINE says so.")
        if "@" in urlsplit(self.url).netloc:
            entry = self.name.partition(":")[2]
            raise ProviderRefused(f"The address of {self.name} holds a password.",
                                  f"Leave it out of providers.remote.{entry}.url; `infill providers login {self.name}` keeps it safely.")  # fmt: skip

    async def messages(self, path: str, body: dict[str, Any], deadline: Deadline) -> AsyncGenerator[dict[str, Any], None]:
        """Post, and give the JSON messages of the answer as they come. Closing the iterator closes the connection.

        Raises ProviderUnavailable where the server reports an error in place of a message.
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
        """One request, one JSON value, and what `read` makes of it. Whatever is wrong with the value is said in one sentence."""
        async with self._response(method, path, body, deadline) as response:
            content = await self._whole(response, deadline, LARGEST_REPLY)
        with self.understood(content):
            return read(msgspec.json.decode(content))

    @contextlib.contextmanager
    def understood(self, content: bytes) -> Iterator[None]:
        """Read what a server sent: whatever exception its shape causes (wrong types, 1e999, deep nesting), the server is at fault."""
        try:
            yield
        except InfillError:
            raise
        except Exception as exc:
            raise self.garbled(content) from exc

    def garbled(self, content: bytes) -> ProviderUnavailable:
        """The error for an answer that is not what the API promises."""
        said = trouble.words_of(content[: trouble.QUOTED * 4], self._hidden())
        return ProviderUnavailable(f"{self.name} sent an answer that is not in the format of its API{f': {said}' if said else ''}.",
                                   f"Check url and kind of providers.remote.{self.name.partition(':')[2]}.")  # fmt: skip

    def complaint(self, said: str) -> ProviderUnavailable:
        """The error for a server that reports one in the middle of its answer."""
        return ProviderUnavailable(f"{self.name} reports an error: {trouble.shortened(said, self._hidden()) or 'no reason given'}.")

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
            with contextlib.suppress(Exception):  # the answer is given or given up: how its connection ends changes nothing
                await response.aclose()

    async def _refuse(self, response: httpx2.Response, deadline: Deadline, path: str, model: str) -> None:
        content = b""
        with contextlib.suppress(ProviderUnavailable):  # the status says enough
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
        """The body as it arrives, at most `limit` bytes, each piece waited for no longer than the deadline allows."""
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
        """Foreign words as one short line that may be shown."""
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
        """What no message may quote."""
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
                except Exception as exc:  # nothing but the environment's proxies can be wrong with it
                    raise network_errors.unusable_proxies(self.name, exc) from exc
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


async def _within(deadline: Deadline, step: Awaitable[T]) -> T:
    """Await a step of a request. Raises TimeoutError at the deadline, also where the server keeps sending headers or `103 Early Hints`."""
    import anyio

    with anyio.fail_after(max(0.0, deadline.left())):
        return await step
