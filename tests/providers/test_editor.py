"""What an editor gets when a remote provider answers: the real language server, over stdio, against each kind of server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from api_peers import LlamaServer, Mistral, Ollama, OpenAi
from asking import KEY
from http_peer import Peer
from small_editor import Editor

KINDS = [
    pytest.param("llamacpp", LlamaServer, {}, id="llama-server"),
    pytest.param("ollama", Ollama, {}, id="ollama"),
    pytest.param("openai", OpenAi, {"family": "qwen"}, id="openai"),
    pytest.param("mistral", Mistral, {"keyVariable": "LAB_KEY"}, id="mistral"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "work" / "add.py"
    file.parent.mkdir()
    file.write_text("def add(a, b):\n    return \n")
    return file


def texts(answer: Any) -> list[str]:
    return [item["insertText"] for item in answer["items"]]


async def session(file: Path, options: Any) -> Editor:
    editor = Editor()
    await editor.start(file.parent, options)
    editor.open(file)
    return editor


def options_for(kind: str, url: str, *order: str, **endpoint: Any) -> dict[str, Any]:
    return {"providers": {"order": [f"{kind}:lab", *order], "remote": {"lab": {"kind": kind, "url": url, **endpoint}}}}


@pytest.mark.parametrize(("kind", "api", "endpoint"), KINDS)
async def test_ghost_text_comes_from_each_kind_of_server(
    kind: str, api: type, endpoint: dict[str, str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_KEY", Mistral.key)
    async with Peer(api()) as peer:
        editor = await session(file, options_for(kind, peer.url, **endpoint))
        answer = await editor.complete(file, 1, 11)
        explained = await editor.command("infill.explain")
        await editor.leave()
    assert texts(answer)[0] == "a + b"
    assert f"{kind}:lab" in str(explained)


async def test_ghost_text_comes_from_llama_cpp_pythons_own_server(llama_cpp_python: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    editor = await session(file, options_for("openai", llama_cpp_python, family="infill", keyVariable="LAB_KEY", timeoutMs=30_000))
    answer = await editor.complete(file, 1, 11)
    await editor.leave()
    assert texts(answer)[0].strip()


async def test_the_local_model_answers_when_the_server_is_gone_and_the_walk_is_explained(file: Path) -> None:
    editor = await session(file, options_for("llamacpp", "http://127.0.0.1:9", "local"))
    answer = await editor.complete(file, 1, 11)
    explained = str(await editor.command("infill.explain"))
    await editor.leave()
    assert texts(answer)
    assert "llamacpp:lab is not reachable" in explained
    assert "local had a line after" in explained


async def test_a_wrong_key_is_told_once_and_not_at_every_key(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", "wrong-key-0123456789")
    async with Peer(OpenAi(key="right")) as peer:
        editor = await session(file, options_for("openai", peer.url, "local", family="qwen", model="m", keyVariable="LAB_KEY"))
        await editor.complete(file, 1, 11)
        asked = len(peer.requests)
        for line, character in ((0, 14), (1, 4)):
            await editor.complete(file, line, character)
        await editor.leave()
    shown = [message["params"]["message"] for message in editor.told if message["method"] == "window/showMessage"]
    assert len([sentence for sentence in shown if "does not accept the key" in sentence]) == 1
    assert "wrong-key" not in str(editor.told)
    assert len(peer.requests) == asked


async def test_a_workspace_file_cannot_send_code_anywhere_and_that_is_said(file: Path) -> None:
    async with Peer(LlamaServer()) as peer:
        (file.parent / ".infill.toml").write_text(
            f'[providers]\norder = ["llamacpp:evil"]\n[providers.remote.evil]\nkind = "llamacpp"\nurl = "{peer.url}"\n'
        )
        editor = await session(file, None)
        answer = await editor.complete(file, 1, 11)
        await editor.leave()
    assert not peer.requests
    assert texts(answer)
    assert "infill.providers is ignored: a workspace may not set it" in str(editor.told)


async def test_in_a_file_with_secrets_nobody_remote_is_asked(file: Path) -> None:
    secret = file.parent / ".env"
    secret.write_text("TOKEN = \n")
    async with Peer(LlamaServer()) as peer:
        editor = await session(secret, options_for("llamacpp", peer.url))
        await editor.complete(secret, 0, 8)
        explained = await editor.command("infill.explain")
        await editor.leave()
    assert not peer.requests
    assert "stays on this machine" in str(explained)


async def test_the_editor_can_try_a_provider_and_see_what_left(file: Path) -> None:
    async with Peer(LlamaServer()) as peer:
        editor = await session(file, options_for("llamacpp", peer.url))
        nothing = await editor.command("infill.showLastRequest")
        await editor.complete(file, 1, 11)
        shown = await editor.command("infill.showLastRequest")
        tried = await editor.command("infill.testProvider", {"provider": "llamacpp:lab"})
        await editor.leave()
    assert nothing["message"].startswith("No request was sent")
    assert shown["url"] == f"{peer.url}/infill"
    assert shown["body"]["input_prefix"].startswith("def add(a, b)")
    assert [(one["provider"], one["ok"]) for one in tried["results"]] == [("llamacpp:lab", True)]


async def test_what_follows_an_accepted_suggestion_is_asked_for_and_nothing_before_it_is(file: Path) -> None:
    """Drafting ahead is for the local model: a remote one is asked when somebody wants to know, and then it answers."""
    async with Peer(LlamaServer()) as peer:
        editor = await session(file, options_for("llamacpp", peer.url))
        await editor.complete(file, 1, 11)
        asked = len(peer.requests)
        editor.change(file, 2, "def add(a, b):\n    return a + b\n")
        answer = await editor.complete(file, 1, 16)
        prefixes = [request.json["input_prefix"] for request in peer.requests]
        await editor.leave()
    assert all(prefix.endswith("return ") for prefix in prefixes[:asked])
    assert all(prefix.endswith("return a + b") for prefix in prefixes[asked:])
    assert len(prefixes) > asked
    assert texts(answer) == ["a + b"]
    assert not [message for message in editor.told if message["method"] == "window/showMessage"]
