"""What is asked of a server and how its refusals are understood: parameters, addresses, proxies, certificates, deadlines, odd replies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from api_peers import LlamaServer, Ollama, OpenAi
from asking import chain_of, gather, prompt, settings_for
from http_peer import Answer, Peer, Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_safety import certificate, tls  # noqa: F401 (a fixture)

from infill.ask import Instruction, Message, Stop
from infill.errors import InfillError, ProviderError, ProviderRefused, ProviderUnavailable
from infill.providers import address, check, setup
from infill.providers.parameters import Parameters
from infill.providers.trouble import CannotFill

QUESTION = Instruction(slot="g", messages=(Message("user", "add two numbers"),), stop=Stop(max_tokens=20, deadline_ms=4000))

# ---- parameters


def picky(*refused: str, shape: Callable[[str], Any] | None = None) -> Callable[[Request, Answer], Awaitable[None]]:
    """A server that refuses these parameters, one complaint a request, as OpenAI does."""

    def openais(name: str) -> Any:
        other = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
        said = f"Unsupported parameter: '{name}' is not supported with this model.{other}"
        return {"error": {"message": said, "type": "invalid_request_error", "param": name, "code": "unsupported_parameter"}}

    async def handler(request: Request, answer: Answer) -> None:
        bad = next((name for name in refused if name in request.json), None)
        if bad is not None:
            await answer.whole((shape or openais)(bad), 400)
        else:
            await OpenAi()(request, answer)

    return handler


async def test_openais_present_models_are_asked_without_what_they_refuse_and_at_once_the_next_time() -> None:
    async with Peer(picky("max_tokens", "temperature")) as peer:
        chain = chain_of("openai", peer.url, model="gpt-5", family="chat")
        assert (await gather(chain.generate(QUESTION)))[0] == "a + b"
        first = len(peer.requests)
        assert (await gather(chain.generate(QUESTION)))[0] == "a + b"
        assert (await gather(chain.complete(prompt())))[0] == "a + b"
        await chain.aclose()
    assert first == 3
    assert len(peer.requests) == 5
    body = peer.requests[-1].json
    assert "max_tokens" not in body
    assert "temperature" not in body
    assert body["max_completion_tokens"] == 64


@pytest.mark.parametrize(
    "shape",
    [
        lambda name: {"error": {"message": f"Unrecognized request argument supplied: {name}"}},
        lambda name: {"error": {"message": "Unsupported value: this does not support 0 with this model.", "param": name}},
        lambda name: {"detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}]},
        lambda name: {"detail": f"{name}: unknown field"},
        lambda name: {"error": f"parameter {name} is not allowed here"},
    ],
)
@pytest.mark.parametrize("parameter", ["temperature", "seed", "stop", "max_tokens"])
async def test_a_parameter_is_left_out_in_whichever_words_it_is_refused(shape: Callable[[str], Any], parameter: str) -> None:
    async with Peer(picky(parameter, shape=shape)) as peer:
        chain = chain_of("openai", peer.url, model="m", family="qwen")
        asked = prompt(sampling=prompt().sampling.__class__(seed=7))
        assert (await gather(chain.complete(asked)))[0] == "a + b"
        await chain.aclose()
    assert parameter not in peer.requests[-1].json


async def test_a_server_that_does_not_stream_for_this_model_is_asked_for_the_whole_answer() -> None:
    async def handler(request: Request, answer: Answer) -> None:
        if request.json.get("stream"):
            said = "Your organization must be verified to stream this model."
            await answer.whole({"error": {"message": said, "param": "stream", "code": "unsupported_value"}}, 400)
        else:
            await answer.whole({"choices": [{"message": {"role": "assistant", "content": "a + b"}, "finish_reason": "stop"}]})

    async with Peer(handler) as peer:
        chain = chain_of("openai", peer.url, model="gpt-5", family="chat")
        assert (await gather(chain.generate(QUESTION)))[0] == "a + b"
        await chain.aclose()


async def test_a_refusal_that_no_parameter_explains_is_told_once() -> None:
    async def handler(request: Request, answer: Answer) -> None:
        await answer.whole({"error": {"message": "Unsupported language: this region is not supported"}}, 400)

    async with Peer(handler) as peer:
        chain = chain_of("openai", peer.url, model="m", family="qwen")
        with pytest.raises(ProviderRefused, match="this region is not supported"):
            await gather(chain.complete(prompt()))
        await chain.aclose()
    assert len(peer.requests) == 1


def test_openais_own_hosts_are_asked_in_the_present_words_from_the_start() -> None:
    body = {"max_tokens": 5, "temperature": 0.0}
    assert Parameters("api.openai.com").adapted("/v1/chat/completions", body) == {"max_completion_tokens": 5, "temperature": 0.0}
    assert Parameters("team.openai.azure.com").adapted("/v1/chat/completions", body)["max_completion_tokens"] == 5
    assert Parameters("api.openai.com").adapted("/v1/completions", body) == body
    assert Parameters("api.deepseek.com").adapted("/v1/chat/completions", body) == body


# ---- addresses


@pytest.mark.parametrize(
    ("url", "path", "expected"),
    [
        ("http://h:1", "/v1/models", "http://h:1/v1/models"),
        ("http://h:1/v1", "/v1/models", "http://h:1/v1/models"),
        ("http://h:1/v1/", "/v1/models", "http://h:1/v1/models"),
        ("http://h:1/v1", "/tokenize", "http://h:1/tokenize"),
        ("http://h:1/v1", "/infill", "http://h:1/infill"),
        ("http://h:1/v1", "/api/show", "http://h:1/api/show"),
        ("http://h:1/api", "/api/show", "http://h:1/api/show"),
        ("http://h:1/llm/v1", "/api/show", "http://h:1/llm/api/show"),
        ("https://api.deepseek.com/beta", "/v1/completions", "https://api.deepseek.com/beta/completions"),
        ("https://x/openai/deployments/d?api-version=2026-05-01", "/v1/chat/completions", "https://x/openai/deployments/d/chat/completions?api-version=2026-05-01"),
        ("http://h:1?a=1&b=2", "/v1/models", "http://h:1/v1/models?a=1&b=2"),
        ("http://h:1/v1/?a=1", "/v1/models", "http://h:1/v1/models?a=1"),
    ],
)  # fmt: skip
def test_an_address_and_a_path_are_joined(url: str, path: str, expected: str) -> None:
    assert address.joined(url, path) == expected


async def test_the_query_of_an_address_goes_with_every_request_and_shows_no_key() -> None:
    async def handler(request: Request, answer: Answer) -> None:
        path, _, query = request.path.partition("?")
        assert query == "api-version=2026-05-01&key=hush-hush-0123"
        await OpenAi()(Request(request.method, path, request.headers, request.body), answer)

    async with Peer(handler) as peer:
        chain = chain_of("openai", f"{peer.url}/v1?api-version=2026-05-01&key=hush-hush-0123", family="qwen")
        assert (await gather(chain.complete(prompt())))[0] == "a + b"
        last = check.last_request(chain)
        await chain.aclose()
    assert {request.path.partition("?")[2] for request in peer.requests} == {"api-version=2026-05-01&key=hush-hush-0123"}
    assert "api-version=2026-05-01" in last["url"]
    assert "hush" not in str(last)


@pytest.mark.parametrize("kind", ["ollama", "llamacpp"])
async def test_an_address_that_ends_in_v1_serves_for_the_servers_own_api_too(kind: str) -> None:
    async with Peer({"ollama": Ollama, "llamacpp": LlamaServer}[kind]()) as peer:
        chain = chain_of(kind, f"{peer.url}/v1")
        assert (await gather(chain.complete(prompt())))[0] == "a + b"
        assert (await gather(chain.generate(QUESTION)))[0] == "a + b"
        await chain.aclose()


# ---- refusals


async def refused(kind: str, status: int, said: Any, **endpoint: Any) -> ProviderError:
    async def handler(request: Request, answer: Answer) -> None:
        await answer.whole(said, status)

    async with Peer(handler) as peer:
        chain = chain_of(kind, peer.url, **endpoint)
        with pytest.raises(ProviderError) as caught:
            await gather(chain.complete(prompt()))
        await chain.aclose()
    return caught.value


async def test_a_server_for_chat_models_only_names_the_setting_that_asks_it_so() -> None:
    said = "This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?"
    exc = await refused("openai", 404, {"error": {"message": said, "param": "model"}}, family="suffix", model="gpt-5")
    assert "serves a chat model" in exc.message
    assert "does not know" not in str(exc)
    assert 'providers.remote.lab.family = "chat"' in exc.hint


async def test_a_server_without_the_path_is_told_from_one_without_the_model() -> None:
    exc = await refused("openai", 404, {"detail": "Not Found"}, family="suffix", model="gpt-5")
    assert "has no /v1/completions (HTTP 404): Not Found" in exc.message
    assert "url" in exc.hint
    exc = await refused("openai", 404, {"error": {"message": "The model `gpt-6` does not exist."}}, family="suffix", model="gpt-6")
    assert "does not know the model 'gpt-6'" in exc.message
    exc = await refused("ollama", 404, {"error": "model 'x' not found"}, family="suffix", model="x")
    assert "does not know the model 'x'" in exc.message
    exc = await refused("ollama", 404, b"404 page not found", family="suffix", model="x")
    assert "has no /api/generate" in exc.message


async def test_a_server_that_cannot_complete_may_still_be_asked_to_chat() -> None:
    async with Peer(LlamaServer(fim=False)) as peer:
        chain = chain_of("llamacpp", peer.url)
        with pytest.raises(CannotFill):
            await gather(chain.complete(prompt()))
        assert (await gather(chain.generate(QUESTION)))[0] == "a + b"
        with pytest.raises(CannotFill):
            await gather(chain.complete(prompt()))
        await chain.aclose()
    assert [request.path for request in peer.requests] == ["/infill", "/v1/chat/completions"]


# ---- certificates and proxies


async def test_a_self_signed_certificate_is_told_with_the_setting_that_trusts_it(certificate: Any) -> None:  # noqa: F811
    async with Peer(LlamaServer(), tls(certificate)) as peer:
        chain = chain_of("llamacpp", peer.url)
        with pytest.raises(ProviderUnavailable, match=r"certificate of llamacpp:lab at 127\.0\.0\.1:\d+ is not trusted \(self.signed") as caught:
            await gather(chain.complete(prompt()))
        await chain.aclose()
        listing = chain_of("llamacpp", peer.url)
        with pytest.raises(ProviderUnavailable, match=r"providers\.remote\.lab\.caFile"):
            await listing.find("llamacpp:lab").models()  # type: ignore[union-attr]
        await listing.aclose()
    assert "providers.remote.lab.caFile" in caught.value.hint
    assert "reachable" not in caught.value.message


async def test_tls_to_a_server_without_it_names_the_address() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    chain = chain_of("llamacpp", f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    with pytest.raises(ProviderUnavailable, match=r"No TLS connection to llamacpp:lab .*write http:// in providers\.remote\.lab\.url"):
        await gather(chain.complete(prompt()))
    await chain.aclose()
    server.close()


@asynccontextmanager
async def socks_proxy(upstream: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A SOCKS5 proxy without authentication that leads every connection to one port here, and remembers the names it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        await reader.readexactly(1)
        writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        size = 4 if kind == 1 else (await reader.readexactly(1))[0]
        asked.append((await reader.readexactly(size)).decode("latin-1"))
        await reader.readexactly(2)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        there, back = await asyncio.open_connection("127.0.0.1", upstream)
        await asyncio.wait([asyncio.ensure_future(_pump(reader, back)), asyncio.ensure_future(_pump(there, writer))])

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_socks_proxy_is_used(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Peer(LlamaServer()) as peer, socks_proxy(peer.port) as (place, asked):
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://{place}")
        chain = chain_of("llamacpp", "http://lab.invalid:8012")
        assert (await gather(chain.complete(prompt())))[0] == "a + b"
        await chain.aclose()
    assert asked == ["lab.invalid"]


async def asked_through(monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str) -> ProviderError:
    monkeypatch.setenv(variable, proxy)
    chain = chain_of("openai", f"{'https' if 'https' in variable else 'http'}://lab.invalid:8012", model="m", family="qwen")
    with pytest.raises(ProviderError) as caught:
        await gather(chain.complete(prompt()))
    with pytest.raises(ProviderError):
        await chain.find("openai:lab").models()  # type: ignore[union-attr]
    await chain.aclose()
    return caught.value


@pytest.mark.parametrize(
    "proxy", ["socks4://127.0.0.1:1080", "http://127.0.0.1:99999", "http://127.0.0.1:port", "127.0.0.1:99999", "ftp://127.0.0.1:21", "http://[::1"]
)
@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTP_PROXY", "https_proxy"])
async def test_a_proxy_that_is_none_is_named_with_its_variable(variable: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exc = await asked_through(monkeypatch, variable, proxy)
    assert variable.upper() in exc.message
    assert "NO_PROXY" in exc.hint


async def test_a_missing_socks_library_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "socksio", None)
    exc = await asked_through(monkeypatch, "ALL_PROXY", "socks5://user:hush-hush@127.0.0.1:1080")
    assert "socksio" in exc.message
    assert "pip install" in exc.hint
    assert "hush" not in str(exc)


async def test_a_proxy_that_does_not_answer_is_told_from_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    exc = await asked_through(monkeypatch, "HTTP_PROXY", "http://127.0.0.1:9")
    assert "through the proxy 127.0.0.1:9" in exc.message


async def test_a_proxy_that_refuses_is_told_from_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refusing(request: Request, answer: Answer) -> None:
        await answer.whole(b"", 407)

    async with Peer(refusing) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        chain = chain_of("openai", "https://lab.invalid", model="m", family="qwen")
        with pytest.raises(ProviderUnavailable, match=r"The proxy 127\.0\.0\.1:\d+ refused the connection to openai:lab \(407"):
            await gather(chain.complete(prompt()))
        await chain.aclose()


# ---- deadlines

DRIPS = {
    "a header a moment": b"HTTP/1.1 200 OK\r\n" + b"x-a: 1\r\n" * 0,
    "100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "103 Early Hints": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
}


@pytest.mark.parametrize("drip", DRIPS)
@pytest.mark.parametrize("kind", ["llamacpp", "ollama", "openai", "mistral"])
async def test_headers_without_end_are_waited_for_until_the_deadline(kind: str, drip: str) -> None:
    async def dripping(request: Request, answer: Answer) -> None:
        await answer.raw(DRIPS["a header a moment"] if drip == "a header a moment" else b"")
        while not answer.gone.is_set():
            await answer.raw(b"x-a: 1\r\n" if drip == "a header a moment" else DRIPS[drip])
            await asyncio.sleep(0.02)

    async with Peer(dripping) as peer:
        chain = chain_of(kind, peer.url, timeoutMs=300, model="m", **({} if kind in {"llamacpp", "mistral"} else {"family": "suffix"}))
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable, match=r"did not answer within 0\.\d s"):
            await gather(chain.complete(prompt()))
        generating = Instruction(slot="g", messages=QUESTION.messages, stop=Stop(max_tokens=5, deadline_ms=300))
        with pytest.raises(ProviderUnavailable, match=r"did not answer within 0\.\d s"):
            await gather(chain.generate(generating))
        with pytest.raises(ProviderUnavailable, match=r"did not answer within 0\.\d s"):
            await chain.find(f"{kind}:lab").models()  # type: ignore[union-attr]
        await chain.aclose()
    assert time.monotonic() - began < 0.9 + 3


# ---- odd replies

SURROGATE = b'"\\ud800"'
ODD = {
    "invalid UTF-8": b'{"data": [{"id": "\xff\xfe"}], "models": "\xff", "choices": [{"text": "\xff"}]}',
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "deep nesting of objects": b'{"error":' * 50_000 + b"1" + b"}" * 50_000,
    "a number without bound": b'{"models": [{"name": "a", "size": 1e999}], "data": 1e999, "usage": {"prompt_tokens": 1e999}, "prompt_eval_count": 1e999, '
    b'"choices": [1e999], "timings": {"prompt_n": 1e999}, "stop": true, "tokens": 1e999, "model_info": 1e999}',
    "lone surrogates": b'{"models": [' + SURROGATE + b'], "data": ' + SURROGATE + b', "choices": ' + SURROGATE + b', "timings": ' + SURROGATE + b"}",
    "a wrong-typed answer with lone surrogates": b'{"choices": [[' + SURROGATE + b']], "usage": ' + SURROGATE + b', "timings": ["\\udfff"], "message": ["\\udfff"]}',
    "null": b"null",
    "a number": b"7",
    "a list of nulls": b"[null, null]",
    "an empty body": b"",
}  # fmt: skip
KINDS = ["llamacpp", "ollama", "openai", "mistral"]


async def every_verb(kind: str, body: bytes) -> list[str]:
    """What completing, generating, listing and testing say to a body: a sentence, or the text."""

    async def handler(request: Request, answer: Answer) -> None:
        await answer.whole(body)

    said: list[str] = []
    async with Peer(handler) as peer:
        for more in ({}, {"model": "m", "family": "suffix"}):
            lab = {"kind": kind, "url": peer.url, "timeoutMs": 2000, **more}
            chosen = settings_for([f"{kind}:lab"], {"lab": lab})
            for verb in (
                lambda remote: gather(remote.complete(prompt())),
                lambda remote: gather(remote.generate(QUESTION)),
                lambda remote: remote.models(),
            ):
                remote = setup.remote(f"{kind}:lab", chosen)
                try:
                    said.append(repr(await verb(remote)))
                except InfillError as exc:
                    said.append(str(exc))
                await remote.aclose()
            said += [one.message for one in await check.try_all(chosen, None)]
    return said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_reply_is_a_sentence_for_every_verb(kind: str, name: str) -> None:
    for sentence in await every_verb(kind, ODD[name]):
        sentence.encode("utf-8")
        assert sentence


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "a", "stop", "null", "\ud800", "\x1b[2J"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "models",
                    "id",
                    "name",
                    "size",
                    "details",
                    "choices",
                    "delta",
                    "message",
                    "content",
                    "text",
                    "finish_reason",
                    "usage",
                    "prompt_tokens",
                    "error",
                    "detail",
                    "object",
                    "capabilities",
                    "template",
                    "model_info",
                    "tokens",
                    "response",
                    "done",
                    "done_reason",
                    "eval_count",
                    "timings",
                    "prompt_n",
                    "stop",
                    "stop_type",
                    "tokenizer.ggml.tokens",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("kind", KINDS)
@given(value=JSON)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_reply_at_all_makes_a_provider_raise_anything_but_a_sentence(kind: str, value: Any) -> None:
    import json

    for sentence in await every_verb(kind, json.dumps(value).encode()):
        assert sentence.encode("utf-8")
