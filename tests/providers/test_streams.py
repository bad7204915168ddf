"""Event streams as servers, gateways and proxies really send them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from asking import chain_of, gather, prompt
from http_peer import Answer, Peer, Request
from hypothesis import given, settings
from hypothesis import strategies as st

from infill.ask import Instruction, Message, Stop
from infill.errors import ProviderError, ProviderUnavailable
from infill.providers import stream

QUESTION = Instruction(slot="g", messages=(Message("user", "add two numbers"),), stop=Stop(max_tokens=20, deadline_ms=4000))


def piece(text: str, reason: Any = None) -> str:
    return json.dumps({"choices": [{"index": 0, "text": text, "delta": {"content": text}, "finish_reason": reason}]})


async def answered(kind: str, body: bytes, *, generate: bool = False, content_type: str = "text/event-stream", **headers: str) -> str:
    """The text that a provider makes of a body."""

    async def said(request: Request, answer: Answer) -> None:
        await answer.whole(body, 200, content_type, **headers)

    async with Peer(said) as peer:
        chain = chain_of(kind, peer.url, **({"family": "suffix", "model": "m"} if kind in {"openai", "ollama"} else {}))
        try:
            return (await gather(chain.generate(QUESTION) if generate else chain.complete(prompt())))[0]
        finally:
            await chain.aclose()


def events(*data: str, newline: str = "\n") -> bytes:
    return "".join(f"data: {one}{newline}{newline}" for one in data).encode()


TWO = (piece("a"), piece(" + b", "stop"))
FINE = {
    "an empty data line as a sign of life": b"data:\n\n" + events(TWO[0]) + b"data: \n\n" + events(TWO[1], "[DONE]"),
    "ping": events("ping", TWO[0], "ping", TWO[1]),
    "a named ping event": b"event: ping\ndata: {}\n\n" + events(*TWO),
    "a comment": b": OPENROUTER PROCESSING\n\n" + events(TWO[0]) + b": again\n\n" + events(TWO[1]),
    "a comment wrapped in data": events(": keep-alive", *TWO),
    "several data lines for one event": b'data: {"choices":\ndata: [{"text": "a + b",\ndata: "delta": {"content": "a + b"}, "finish_reason": "stop"}]}\n\n',
    "no blank lines between events": "".join(f"data: {one}\n" for one in (*TWO, "[DONE]")).encode(),
    "no space after the colon": f"data:{TWO[0]}\n\ndata:{TWO[1]}\n\n".encode(),
    "carriage returns": events(*TWO, "[DONE]", newline="\r\n"),
    "a byte order mark": b"\xef\xbb\xbf" + events(*TWO),
    "ids, names and retry times": b"id: 1\nevent: message\nretry: 10\n" + events(TWO[0]) + b"id: 2\n" + events(TWO[1]),
    "no end of the last event": events(TWO[0]) + f"data: {TWO[1]}".encode(),
    "[done] in small letters": events(piece("a + b"), "[done]"),
    "no finish reason before [DONE]": events(piece("a"), piece(" + b"), "[DONE]"),
    "a usage message at the end": events(*TWO, '{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}', "[DONE]"),
    "an error field that is null": events(*(one[:-1] + ', "error": null}' for one in TWO)),
    "an empty reason with each piece": events(piece("a", ""), piece(" + ", ""), piece("b", "stop")),
    "the word null as a reason": events(piece("a", "null"), piece(" + ", "null"), piece("b", "stop")),
    "false as a reason": events(piece("a", False), piece(" + ", False), piece("b", "stop")),
    "a JSON value in place of a stream": piece("a + b", "stop").encode(),
    "an indented JSON value in place of a stream": json.dumps(json.loads(piece("a + b", "stop")), indent=2).encode(),
}


@pytest.mark.parametrize("name", FINE)
@pytest.mark.parametrize("generate", [False, True])
async def test_a_stream_is_understood_with(name: str, generate: bool) -> None:
    assert await answered("openai", FINE[name], generate=generate) == "a + b"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "text/event-stream; charset=iso-8859-1"])
async def test_the_content_type_does_not_decide_how_a_stream_is_read(content_type: str) -> None:
    assert await answered("openai", events(piece("é + b", "stop")), content_type=content_type) == "é + b"


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_an_answer_that_is_compressed_all_the_same_is_read(encoding: str, compress: Any) -> None:
    assert await answered("openai", compress(events(*TWO)), content_encoding=encoding) == "a + b"


async def test_an_encoding_that_cannot_be_undone_is_named() -> None:
    with pytest.raises(ProviderUnavailable, match=r"compresses its answer .*\(br\)"):
        await answered("openai", events(*TWO), content_encoding="br")


async def test_ollamas_lines_are_read_with_empty_done_reasons_and_blank_lines() -> None:
    lines = [{"response": "a", "done": False, "done_reason": ""}, {"response": " + b", "done": True, "done_reason": "stop"}]
    assert await answered("ollama", b"\n\n".join(json.dumps(one).encode() for one in lines), content_type="application/x-ndjson") == "a + b"


ERRORS = [
    '{"object": "error", "message": "out of memory", "code": 500}',
    '{"error": "out of memory"}',
    '{"error": {"message": "out of memory"}}',
    '{"error": {"error": {"message": "out of memory"}}}',
    '{"detail": "out of memory"}',
    '{"detail": [{"loc": ["body"], "msg": "out of memory"}]}',
    '{"message": "out of memory", "type": "server_error"}',
    '{"type": "error", "error": {"type": "overloaded", "message": "out of memory"}}',
    '{"errors": [{"message": "out of memory"}]}',
    '[{"error": {"message": "out of memory"}}]',
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", ["openai", "ollama", "llamacpp", "mistral"])
async def test_an_error_in_a_stream_keeps_its_reason_in_every_shape(kind: str, error: str) -> None:
    for body in (events(error), error.encode(), f"error: {error}\n\n".encode(), f"event: error\ndata: {error}\n\n".encode()):
        with pytest.raises(ProviderUnavailable, match=r"reports an error: (body: )?out of memory"):
            await answered(kind, body)


@pytest.mark.parametrize("error", ERRORS)
async def test_an_error_status_keeps_its_reason_in_every_shape(error: str) -> None:
    async def failing(request: Request, answer: Answer) -> None:
        await answer.whole(error.encode(), 500)

    async with Peer(failing) as peer:
        chain = chain_of("openai", peer.url, family="suffix", model="m")
        with pytest.raises(ProviderUnavailable, match="out of memory"):
            await gather(chain.complete(prompt()))
        await chain.aclose()


async def test_an_error_event_of_plain_text_keeps_its_words() -> None:
    with pytest.raises(ProviderUnavailable, match="reports an error: upstream timed out"):
        await answered("openai", b"event: error\ndata: upstream timed out\n\n")


async def test_an_error_without_a_reason_says_so() -> None:
    with pytest.raises(ProviderUnavailable, match="reports an error: no reason given"):
        await answered("openai", events('{"object": "error"}'))


async def test_a_message_that_is_damaged_is_not_skipped() -> None:
    """To go on without it would put code with a hole in it into the document."""
    with pytest.raises(ProviderError, match=r"not in the format of its API"):
        await answered("openai", events('{"choices": [{"text": "a', *TWO))


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=8), st.integers(1, 40), st.sampled_from(["\n", "\r\n"]))
@settings(deadline=None)
async def test_the_text_is_the_same_however_the_network_cuts_it(texts: list[str], size: int, newline: str) -> None:
    body = events(*(json.dumps({"content": text}, ensure_ascii=False) for text in texts), newline=newline)

    async def chunks() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    assert [message["content"] async for message in stream.messages(chunks())] == texts
