"""`infill providers`, the tests of providers, and completions over a chain from the command line, as a person would."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from api_peers import LlamaServer, Ollama, OpenAi
from asking import gather, prompt, settings_for
from http_peer import Answer, Peer, Request

from infill.errors import UnknownModel
from infill.providers import check, named, setup
from infill.providers.fake import Fake

KEY = "sk-command-line-0123456789"


async def run(*arguments: str, given: str = "", **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "infill", *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", **environment},
    )  # fmt: skip
    out, err = await process.communicate(given.encode())
    return process.returncode or 0, out.decode(), err.decode()


def write_settings(home: Path, text: str) -> None:
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "settings.toml").write_text(text)


async def test_each_provider_is_tried_step_by_step() -> None:
    async with Peer(LlamaServer()) as llama, Peer(Ollama()) as ollama, Peer(OpenAi(key=KEY)) as openai:
        remote = {
            "lab": {"kind": "llamacpp", "url": llama.url},
            "shared": {"kind": "ollama", "url": ollama.url},
            "work": {"kind": "openai", "url": openai.url, "family": "qwen", "model": "m"},
            "vague": {"kind": "openai", "url": openai.url, "model": "m"},
            "gone": {"kind": "llamacpp", "url": "http://127.0.0.1:9"},
        }
        settings = settings_for(["local", "llamacpp:lab", "llamacpp:nobody"], remote)
        checks = {one.provider: one for one in await check.try_all(settings, Fake(["a + b"], name="local"))}
    assert list(checks) == ["local", "llamacpp:lab", "llamacpp:nobody", "ollama:shared", "openai:work", "openai:vague", "llamacpp:gone"]
    assert {name for name, one in checks.items() if one.ok} == {"local", "llamacpp:lab", "ollama:shared"}
    assert checks["ollama:shared"].model == "qwen2.5-coder:1.5b-base"
    assert checks["ollama:shared"].fim == "the server does it"
    assert checks["openai:work"].key == "none: not accepted"
    assert checks["openai:work"].reach == "yes"
    assert "in the tokens of Qwen" in checks["openai:work"].fim
    assert "providers.order may name" in checks["llamacpp:nobody"].message
    assert checks["llamacpp:gone"].reach == "no"
    assert checks["llamacpp:lab"].ms > 0


async def test_the_last_request_of_a_chain_is_the_newest_that_left() -> None:
    async with Peer(LlamaServer()) as one, Peer(LlamaServer()) as two:
        settings = settings_for(
            ["llamacpp:one", "llamacpp:two"], {"one": {"kind": "llamacpp", "url": one.url}, "two": {"kind": "llamacpp", "url": two.url}}
        )
        chain = setup.chain(settings, None)
        assert check.last_request(chain)["message"].startswith("No request was sent")
        await gather(chain.complete(prompt(prefix="unmistakable = ")))
        await chain.aclose()
    shown = check.last_request(chain)
    assert shown["provider"] == "llamacpp:one"
    assert shown["body"]["input_prefix"] == "unmistakable = "


async def test_the_list_shows_where_keys_come_from_and_never_a_key(tmp_path: Path) -> None:
    write_settings(
        tmp_path / "home", '[providers]\norder = ["openai:work", "local"]\n[providers.remote.work]\nkind = "openai"\nkeyVariable = "WORK_KEY"\n'
    )
    code, out, err = await run("providers", "list", "--json", WORK_KEY=KEY)
    rows = json.loads(out)
    assert (code, err) == (0, "")
    assert rows[0] == {
        "order": "1",
        "provider": "openai:work",
        "address": "https://api.openai.com/v1",
        "model": "",
        "key": "environment variable WORK_KEY",
    }
    assert rows[1]["provider"] == "local"
    assert KEY not in out


async def test_a_key_is_read_from_standard_input_and_never_from_an_argument(tmp_path: Path) -> None:
    write_settings(tmp_path / "home", '[providers.remote.work]\nkind = "openai"\n')
    code, out, err = await run("providers", "login", "openai:work", given=f"{KEY}\n", PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")
    assert code == 1
    assert "keyVariable or keyFile" in err
    assert KEY not in out + err
    code, _, err = await run("providers", "login", "openai:work", KEY)
    assert code == 2
    code, _, err = await run("providers", "login", "openai:nobody", given=f"{KEY}\n")
    assert code == 1
    assert "There is no provider 'openai:nobody'" in err


@pytest.mark.parametrize(("kind", "api"), [("llamacpp", LlamaServer), ("ollama", Ollama)])
async def test_infill_complete_is_answered_by_a_remote_provider(kind: str, api: type, tmp_path: Path) -> None:
    file = tmp_path / "add.py"
    file.write_text("def add(a, b):\n    return \n")
    async with Peer(api()) as peer:
        write_settings(tmp_path / "home", f'[providers]\norder = ["{kind}:lab"]\n[providers.remote.lab]\nkind = "{kind}"\nurl = "{peer.url}"\n')
        code, out, err = await run("complete", f"{file}:2:12", "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert answer["items"][0]["text"] == "a + b"
    assert answer["provider"] == f"{kind}:lab"


async def test_a_file_with_secrets_is_not_shown_to_a_remote_provider(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("TOKEN=\n")
    async with Peer(LlamaServer()) as peer:
        write_settings(tmp_path / "home", f'[providers]\norder = ["llamacpp:lab"]\n[providers.remote.lab]\nkind = "llamacpp"\nurl = "{peer.url}"\n')
        code, out, err = await run("complete", f"{file}:1:7")
    assert not peer.requests
    assert "stays on this machine" in out + err
    assert "Traceback" not in err
    assert code in {0, 1}


async def test_the_doctor_tries_the_remote_providers_of_the_order(tmp_path: Path) -> None:
    async with Peer(LlamaServer()) as peer:
        remote = (
            f'[providers.remote.lab]\nkind = "llamacpp"\nurl = "{peer.url}"\n[providers.remote.gone]\nkind = "llamacpp"\nurl = "http://127.0.0.1:9"\n'
        )
        write_settings(tmp_path / "home", f'[providers]\norder = ["local", "llamacpp:lab", "llamacpp:gone"]\n{remote}')
        code, out, _ = await run("doctor", "--json")
    findings = {one["about"]: one for one in json.loads(out)["findings"]}
    assert findings["llamacpp:lab"]["verdict"] == "ok"
    assert "not reachable" in findings["llamacpp:gone"]["detail"]
    assert code == 1


async def test_a_remote_model_is_chosen_only_where_it_exists(tmp_path: Path) -> None:
    code, out, err = await run("models", "use", "ollama:nosuch/x")
    assert (code, out) == (1, "")
    assert "ollama:nosuch/x names no provider that is set up" in err
    async with Peer(Ollama()) as peer:
        write_settings(
            tmp_path / "home",
            f'[providers.remote.o]\nkind = "ollama"\nurl = "{peer.url}"\n[providers.remote.gone]\nkind = "openai"\nurl = "http://127.0.0.1:9"\n',
        )
        code, out, err = await run("models", "use", "ollama:nosuch/x")
        assert (code, out) == (1, "")
        assert "ollama:o has no model 'nosuch/x'" in err
        assert "qwen2.5-coder:1.5b-base" in err
        code, out, err = await run("models", "use", "ollama:o/qwen2.5-coder:1.5b-base", "--role", "generate")
        assert code == 0
        assert "is chosen" in out
        code, out, err = await run("models", "use", "openai:gone/m", "--role", "generate")
    assert code == 0
    assert "could not be checked" in err
    assert "not reachable" in err


@pytest.mark.parametrize(("asked", "is_there"), [("smol", True), ("smol:latest", True), ("other:1b", True), ("other", False), ("smo", False)])
async def test_ollamas_latest_tag_may_be_left_out(asked: str, is_there: bool) -> None:
    async def handler(request: Request, answer: Answer) -> None:
        await answer.whole({"models": [{"name": "smol:latest"}, {"name": "other:1b"}]})

    async with Peer(handler) as peer:
        settings = settings_for(["ollama:o"], {"o": {"kind": "ollama", "url": peer.url}})
        if is_there:
            assert await named.check(f"ollama:{asked}", settings) == ""
        else:
            with pytest.raises(UnknownModel, match=r"It has: .*other:1b|It has: smol:latest"):
                await named.check(f"ollama:{asked}", settings)


def test_an_id_that_several_providers_could_mean_is_not_guessed() -> None:
    settings = settings_for(["local"], {"a": {"kind": "ollama"}, "b": {"kind": "ollama"}})
    with pytest.raises(UnknownModel, match="ollama:a/MODEL or ollama:b/MODEL"):
        named.provider("ollama:smol", settings)


async def test_a_generation_names_a_provider_that_is_not_set_up() -> None:
    code, _, err = await run("generate", "add two numbers", "--model", "ollama:nosuch/x")
    assert code == 1
    assert "names no provider that is set up" in err
