"""Each kind of server, asked over real HTTP."""

from __future__ import annotations

import asyncio

import pytest
from api_peers import QWEN_TOKENS, LlamaServer, Mistral, Ollama, OpenAi
from asking import KEY, chain_of, gather, prompt
from http_peer import Answer, Peer, Request

from infill import continuation
from infill.ask import Delta, Instruction, Message, Snippet, Stop
from infill.errors import ProviderError, ProviderRefused, ProviderUnavailable

QUESTION = Instruction(slot="g", messages=(Message("user", "add two numbers"),), stop=Stop(max_tokens=20, deadline_ms=4000))
JUDGED = prompt(logprobs=True, stop=Stop(deadline_ms=60_000))
ALL = [
    pytest.param("llamacpp", LlamaServer, {}, id="llama-server"),
    pytest.param("ollama", Ollama, {}, id="ollama"),
    pytest.param("openai", OpenAi, {"family": "qwen"}, id="openai-rendered"),
    pytest.param("openai", OpenAi, {"family": "suffix"}, id="openai-suffix"),
    pytest.param("openai", OpenAi, {"family": "chat"}, id="openai-chat"),
    pytest.param("mistral", Mistral, {"keyVariable": "LAB_KEY"}, id="mistral"),
]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", Mistral.key)


@pytest.mark.parametrize(("kind", "api", "endpoint"), ALL)
async def test_every_kind_of_server_completes(kind: str, api: type, endpoint: dict[str, str]) -> None:
    async with Peer(api()) as peer:
        chain = chain_of(kind, peer.url, **endpoint)
        text, finish, report = await gather(chain.complete(prompt()))
        await chain.aclose()
    assert text == "a + b"
    assert finish.why == "end"
    assert report.provider == f"{kind}:lab"
    assert report.timings.tokens_generated == 3


@pytest.mark.parametrize(("kind", "api", "endpoint"), ALL)
async def test_every_kind_of_server_follows_instructions(kind: str, api: type, endpoint: dict[str, str]) -> None:
    async with Peer(api()) as peer:
        chain = chain_of(kind, peer.url, **endpoint)
        text, _, report = await gather(chain.generate(QUESTION))
        await chain.aclose()
    assert text == "a + b"
    assert report.provider == f"{kind}:lab"


@pytest.mark.parametrize(("kind", "api", "endpoint"), ALL)
async def test_every_kind_of_server_lists_its_models(kind: str, api: type, endpoint: dict[str, str]) -> None:
    async with Peer(api()) as peer:
        chain = chain_of(kind, peer.url, **endpoint)
        names = [model.name for model in await chain.find(f"{kind}:lab").models()]  # type: ignore[union-attr]
        await chain.aclose()
    assert names[0] in {"qwen2.5-coder", "qwen2.5-coder:1.5b-base", "codestral-latest", "coder"}


async def test_three_candidates_are_three_requests_that_differ() -> None:
    async with Peer(LlamaServer()) as peer:
        chain = chain_of("llamacpp", peer.url)
        said = [event async for event in chain.complete(prompt(candidates=3))]
        await chain.aclose()
    assert {getattr(event, "candidate", None) for event in said} == {0, 1, 2, None}
    assert sorted((request.json["seed"], request.json["temperature"]) for request in peer.requests) == [(0, 0.0), (1, 0.4), (2, 0.4)]


async def test_llama_server_is_given_the_files_by_name_and_the_limits() -> None:
    async with Peer(LlamaServer()) as peer:
        chain = chain_of("llamacpp", peer.url)
        asked = prompt(snippets=(Snippet("other.py", "x = 1"),), stop=Stop(max_tokens=7, indent=4, deadline_ms=3000))
        await gather(chain.complete(asked))
        await chain.aclose()
    body = peer.requests[0].json
    assert body["input_extra"] == [{"filename": "other.py", "text": "x = 1"}]
    assert (body["n_predict"], body["n_indent"], body["cache_prompt"]) == (7, 4, True)
    assert 0 < body["t_max_predict_ms"] <= 3000


async def test_a_model_without_tokens_for_it_is_refused_in_the_servers_own_words() -> None:
    async with Peer(LlamaServer(fim=False)) as peer:
        chain = chain_of("llamacpp", peer.url)
        with pytest.raises(ProviderRefused, match="Infill is not supported by this model"):
            await gather(chain.complete(prompt()))
        await chain.aclose()


async def test_ollama_without_insert_is_asked_raw_in_the_tokens_of_its_vocabulary() -> None:
    async with Peer(Ollama(insert=False, tokens=QWEN_TOKENS)) as peer:
        chain = chain_of("ollama", peer.url, model="qwen3-coder")
        text, _, _ = await gather(chain.complete(prompt()))
        await chain.aclose()
    body = peer.requests[-1].json
    assert body["raw"] is True
    assert body["prompt"].endswith("<|fim_prefix|>def add(a, b):\n    return <|fim_suffix|>\n<|fim_middle|>")
    assert text == "a + b"


async def test_ollama_with_a_vocabulary_that_fits_no_family_is_refused_with_a_next_step() -> None:
    async with Peer(Ollama(insert=False, tokens=["hello"])) as peer:
        chain = chain_of("ollama", peer.url, model="llama3")
        with pytest.raises(ProviderRefused, match=r"llama3 has no fill-in-the-middle tokens.*providers\.remote\.lab\.family"):
            await gather(chain.complete(prompt()))
        await gather(chain.generate(QUESTION))
        await chain.aclose()


async def test_the_family_follows_from_the_servers_tokenizer() -> None:
    async with Peer(OpenAi(tokens=QWEN_TOKENS)) as peer:
        chain = chain_of("openai", peer.url)
        await gather(chain.complete(prompt()))
        await gather(chain.complete(prompt()))
        await chain.aclose()
    asked = [request for request in peer.requests if request.path == "/v1/completions"]
    assert asked[0].json["prompt"].startswith("<|fim_prefix|>def add")
    assert len([request for request in peer.requests if request.path == "/v1/models"]) == 1


async def test_a_model_of_an_unknown_family_continues_after_one_warning() -> None:
    """The family is not guessed from the model's name: tokens that it does not know would be text to it."""
    told: list[Exception] = []
    async with Peer(OpenAi(tokens=None)) as peer:
        chain = chain_of("openai", peer.url, told.append, model="Qwen/Qwen2.5-Coder-7B")
        asked = prompt(suffix="\n\ndef subtract(a, b):\n", snippets=(Snippet("lib/other.py", "x = 1\ny = 2"),))
        for _ in range(2):
            text, _, report = await gather(chain.complete(asked))
        await chain.aclose()
    body = peer.requests[-1].json
    assert text == "a + b"
    assert body["prompt"] == "# lib/other.py\n# x = 1\n# y = 2\n# add.py\ndef add(a, b):\n    return "
    assert body["stop"] == ["\ndef subtract(a, b):"]
    assert "suffix" not in body
    assert "continues only: the code behind the cursor is not seen" in report.notes
    assert [str(one).count("continues the code before the cursor") for one in told] == [1]
    assert "providers.remote.lab.family" in str(told[0])


@pytest.mark.parametrize(
    ("path", "suffix", "said", "expected"),
    [
        ("a.go", "\n\nfunc next() {", ("x\n", "\nfunc ne", "xt() {\n\treturn"), "x\n"),
        ("a.html", "\n}", ("<b>\n}\n", "more"), "<b>\n}\nmore"),
        ("a.unknown", " + rest\n", ("left", "\nbeyond"), "left"),
        ("a.py", ")\n", ("a, b", ")\nc"), "a, b)\nc"),
    ],
)
async def test_what_stands_behind_the_cursor_ends_a_continuation(path: str, suffix: str, said: tuple[str, ...], expected: str) -> None:
    async with Peer(OpenAi(tokens=None, pieces=said)) as peer:
        chain = chain_of("openai", peer.url, model="m")
        text, _, _ = await gather(chain.complete(prompt(path=path, suffix=suffix)))
        await chain.aclose()
    assert text == expected


def test_a_comment_of_another_file_cannot_be_closed_by_its_text() -> None:
    rendered = continuation.render(prompt(path="a.css", prefix="b {", snippets=(Snippet("c.css", "x */ y"),)))
    assert rendered == "/* c.css */\n/* x * / y */\n/* a.css */\nb {"


async def test_stop_words_beyond_the_fourth_are_cut_on_our_side() -> None:
    async with Peer(OpenAi(pieces=("a + b", "<|fim_", "pad|>", "garbage"))) as peer:
        chain = chain_of("openai", peer.url, family="qwen")
        text, finish, _ = await gather(chain.complete(prompt()))
        await chain.aclose()
    assert text == "a + b"
    assert finish.why == "end"


async def test_a_chat_model_that_talks_is_reduced_to_its_code() -> None:
    async with Peer(OpenAi(pieces=("Here is", " the code:\n``", "`python\nreturn a", " + b\n", "``", "`\nHope this helps!"))) as peer:
        chain = chain_of("openai", peer.url, family="chat")
        text, _, _ = await gather(chain.complete(prompt()))
        await chain.aclose()
    assert text == "a + b"


@pytest.mark.parametrize(
    ("pieces", "logprobs", "text", "logprob"),
    [
        (("a", " +", " b"), (-1.0, -0.5, -0.25), "a + b", -1.75),
        (("```python\n", "return ", "a + b\n", "```"), (-4.0, -2.0, -0.25, -3.0), "a + b", -0.25),
        (("Here is the code:\n", "```\n", "a", " + b\n", "```\n", "Bye!"), (-9.0, -1.0, -0.5, -0.25, -5.0, -7.0), "a + b", -0.75),
        (("a", " +", " b"), (-1.0, -9999.0, -0.25), "a + b", None),
        (("a", " +", " b"), (), "a + b", None),
    ],
)
async def test_a_chat_models_confidence_is_that_of_its_code_alone(
    pieces: tuple[str, ...], logprobs: tuple[float, ...], text: str, logprob: float | None
) -> None:
    async with Peer(OpenAi(pieces=pieces, logprobs=logprobs)) as peer:
        chain = chain_of("openai", peer.url, family="chat", timeoutMs=60_000)
        events = [event async for event in chain.complete(JUDGED)]
        await chain.aclose()
    deltas = [event for event in events if isinstance(event, Delta)]
    assert "".join(delta.text for delta in deltas) == text
    assert deltas[-1].logprob == logprob


async def test_mistral_is_asked_for_probabilities_and_refuses_once() -> None:
    async with Peer(Mistral()) as peer:
        chain = chain_of("mistral", peer.url, keyVariable="LAB_KEY", timeoutMs=60_000)
        for _ in range(2):
            text, finish, _ = await gather(chain.complete(JUDGED))
            assert (text, finish.logprob) == ("a + b", None)
        await chain.aclose()
    assert ["logprobs" in request.json for request in peer.requests] == [True, False, False]


async def test_probabilities_that_mistral_gives_are_used() -> None:
    async with Peer(Mistral(logprobs=(-1.0, -0.5, -0.25))) as peer:
        chain = chain_of("mistral", peer.url, keyVariable="LAB_KEY", timeoutMs=60_000)
        text, finish, _ = await gather(chain.complete(JUDGED))
        await chain.aclose()
    assert (text, finish.logprob) == ("a + b", -1.75)


async def test_leaving_early_closes_the_connection_over_there() -> None:
    async def endless(request: Request, answer: Answer) -> None:
        await answer.head(kind="text/event-stream")
        while not answer.gone.is_set():
            await answer.chunk(b'data: {"content": "x", "stop": false}\n\n')
            await asyncio.sleep(0)

    async with Peer(endless) as peer:
        chain = chain_of("llamacpp", peer.url)
        stream = chain.complete(prompt())
        assert await stream.__anext__()
        await stream.aclose()
        await asyncio.wait_for(peer.left_early.wait(), 5)
        await chain.aclose()


async def test_cancelling_closes_the_connection_over_there() -> None:
    began = asyncio.Event()

    async def silent(request: Request, answer: Answer) -> None:
        began.set()
        await asyncio.Event().wait()

    async with Peer(silent) as peer:
        chain = chain_of("llamacpp", peer.url)
        task = asyncio.ensure_future(gather(chain.complete(prompt())))
        await asyncio.wait_for(began.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(peer.left_early.wait(), 5)
        await chain.aclose()


async def test_what_is_being_answered_ends_properly_when_another_provider_is_chosen() -> None:
    half, rest = asyncio.Event(), asyncio.Event()

    async def slow(request: Request, answer: Answer) -> None:
        await answer.head(kind="text/event-stream")
        await answer.chunk(b'data: {"content": "a", "stop": false}\n\n')
        half.set()
        await rest.wait()
        await answer.chunk(b'data: {"content": " + b", "stop": true}\n\n')
        await answer.end()

    async with Peer(slow) as peer:
        chain = chain_of("llamacpp", peer.url)
        answering = asyncio.ensure_future(gather(chain.complete(prompt())))
        await asyncio.wait_for(half.wait(), 5)
        leaving = asyncio.ensure_future(chain.aclose())
        await asyncio.sleep(0)
        assert not leaving.done()
        rest.set()
        text, _, _ = await answering
        await asyncio.wait_for(leaving, 5)
    assert text == "a + b"


async def test_connections_are_kept_alive_between_requests() -> None:
    async with Peer(LlamaServer()) as peer:
        chain = chain_of("llamacpp", peer.url)
        for _ in range(3):
            await gather(chain.complete(prompt()))
        await chain.aclose()
    assert peer.connections == 1


async def test_a_request_ahead_of_time_never_leaves() -> None:
    async with Peer(LlamaServer()) as peer:
        chain = chain_of("llamacpp", peer.url)
        with pytest.raises(ProviderUnavailable, match="not asked ahead"):
            await gather(chain.complete(prompt(priority="background")))
        await chain.warm(prompt())
        await chain.aclose()
    assert not peer.requests


async def test_no_more_requests_a_minute_than_allowed() -> None:
    async with Peer(LlamaServer()) as peer:
        chain = chain_of("llamacpp", peer.url, maxRequestsPerMinute=2)
        await gather(chain.complete(prompt()))
        await gather(chain.complete(prompt()))
        with pytest.raises(ProviderUnavailable, match="had its 2 requests"):
            await gather(chain.complete(prompt()))
        await chain.aclose()
    assert len(peer.requests) == 2


async def test_llama_cpp_pythons_own_server_completes_with_the_bundled_model(llama_cpp_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    chain = chain_of("openai", llama_cpp_python, family="infill", keyVariable="LAB_KEY", timeoutMs=60_000)
    text, _, report = await gather(chain.complete(prompt(stop=Stop(max_tokens=8, deadline_ms=60_000))))
    generated, _, _ = await gather(chain.generate(Instruction(slot="g", messages=QUESTION.messages, stop=Stop(max_tokens=8, deadline_ms=60_000))))
    await chain.aclose()
    assert text.strip()
    assert report.model == "tiny"
    assert generated


async def test_llama_cpp_pythons_own_server_refuses_a_wrong_key_in_a_sentence_without_it(
    llama_cpp_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_KEY", "sk-wrong-9876543210")
    chain = chain_of("openai", llama_cpp_python, family="infill", model="tiny", keyVariable="LAB_KEY", timeoutMs=60_000)
    with pytest.raises(ProviderError, match="does not accept the key") as caught:
        await gather(chain.complete(prompt(stop=Stop(max_tokens=8, deadline_ms=60_000))))
    await chain.aclose()
    assert "sk-wrong" not in str(caught.value)
