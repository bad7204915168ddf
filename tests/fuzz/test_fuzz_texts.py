"""Bytes from editors, servers and repositories: framing, event streams, ignore files, TOML. Each reader ends with a value or its own error."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncGenerator

import pytest
from fuzzing import Clock, fuzz
from hypothesis import example, given
from hypothesis import strategies as st

from infill.lsp import stream as framing
from infill.privacy import ignore_rules, trust
from infill.providers import stream as events


@pytest.fixture(scope="module")
def clocks() -> dict[str, Clock]:
    return {}


def over(clocks: dict[str, Clock], name: str) -> bool:
    return clocks.setdefault(name, Clock()).over()


headers = st.lists(
    st.sampled_from((b"Content-Length: 2\r\n", b"Content-Length: -1\r\n", b"\r\n", b"{}", b"x: y\r\n", b"\xff\r\n", b"content-length:"))
)


@fuzz(examples=400)
@given(content=st.one_of(st.binary(max_size=300), headers.map(b"".join)))
@example(content=b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}")
def test_any_bytes_from_an_editor_are_messages_or_the_end(clocks: dict[str, Clock], content: bytes) -> None:
    if over(clocks, "framing"):
        return
    assert all(isinstance(body, bytes) for body in framing.frames(io.BytesIO(content)))


pieces = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            (b"data: ", b'{"a": 1}', b"\n\n", b"\r\n", b"event: error\n", b"[DONE]", b"1e999", b"[" * 2000, b'{"a": "\\ud800"}', b"\xef\xbb\xbf")
        ),
    ),
    max_size=10,
)


@fuzz(examples=300)
@given(chunks=pieces)
def test_any_event_stream_is_messages_or_one_of_two_errors(clocks: dict[str, Clock], chunks: list[bytes]) -> None:
    if over(clocks, "events"):
        return

    async def body() -> AsyncGenerator[bytes, None]:
        for chunk in chunks:
            yield chunk

    async def read() -> list[object]:
        return [message async for message in events.messages(body())]

    found: list[object] = []
    with contextlib.suppress(events.NotUnderstood, events.EventError):
        found = asyncio.run(read())
    assert all(isinstance(message, dict) for message in found)


letters = st.text(st.sampled_from("ab*?[]!\\/.- #\x00\ud800"), max_size=60)


@fuzz(examples=400)
@given(text=letters, path=st.text(st.sampled_from("ab/.-]["), min_size=1, max_size=60))
@example(text="*a" * 20 + "*b", path="a" * 60 + ".py")
def test_any_ignore_file_gives_a_verdict(clocks: dict[str, Clock], text: str, path: str) -> None:
    if over(clocks, "ignore"):
        return
    with contextlib.suppress(ignore_rules.NotJudged):
        assert ignore_rules.IgnoreRules(ignore_rules.lines_of(text.encode("utf-8", "surrogatepass"))).ignores(path) in {True, False}


@fuzz(examples=300)
@given(content=st.one_of(st.binary(max_size=200), st.text(st.sampled_from('a.=[]{}"\n1_-#'), max_size=200).map(str.encode)))
@example(content=b"languages = " + b"[" * 3000)
@example(content=b".".join([b"a"] * 5000) + b" = 1")
def test_any_settings_file_of_a_workspace_is_options_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, clocks: dict[str, Clock], content: bytes
) -> None:
    if over(clocks, "toml"):
        return
    folder = tmp_path_factory.getbasetemp()
    (folder / trust.FILE).write_bytes(content)
    options, problems = trust.read_workspace_file(folder)
    assert isinstance(options, dict) != bool(problems)
