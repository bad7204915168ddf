"""What never happens: a key where it does not belong, code sent to another host, an unverified server, a connection while offline."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import shutil
import ssl
import stat
import subprocess
import traceback
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import keyring.errors
import pytest
from api_peers import LlamaServer, OpenAi
from asking import chain_of, gather, prompt, settings_for
from http_peer import Answer, Peer, Request

from infill import environment, settings_file
from infill.ask import Snippet
from infill.errors import InfillError, ProviderRefused, ProviderUnavailable
from infill.models import child
from infill.providers import keys, setup
from infill.providers.keys import Secret
from infill.settings import Endpoint

KEY = "sk-very-secret-0123456789abcdef"


class Ring(keyring.backend.KeyringBackend):
    """A keyring that holds keys for the length of a test."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("not found")


@pytest.fixture
def ring() -> Any:
    before, mine = keyring.get_keyring(), Ring()
    keyring.set_keyring(mine)
    yield mine
    keyring.set_keyring(before)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, to make a certificate that nobody vouches for")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "server.key", folder / "server.crt"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return key, cert


def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    return context


async def test_a_server_whose_certificate_nobody_vouches_for_gets_nothing(certificate: tuple[Path, Path]) -> None:
    async with Peer(LlamaServer(), tls(certificate)) as peer:
        chain = chain_of("llamacpp", peer.url)
        with pytest.raises(ProviderUnavailable, match=r"(?i)certificate"):
            await gather(chain.complete(prompt()))
        await chain.aclose()
    assert not peer.requests


async def test_a_certificate_that_the_user_trusts_is_enough(certificate: tuple[Path, Path]) -> None:
    async with Peer(LlamaServer(), tls(certificate)) as peer:
        chain = chain_of("llamacpp", peer.url, caFile=str(certificate[1]))
        assert (await gather(chain.complete(prompt())))[0] == "a + b"
        await chain.aclose()


async def test_a_ca_file_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    chain = chain_of("llamacpp", "https://127.0.0.1:9", caFile=str(tmp_path / "missing.pem"))
    with pytest.raises(ProviderRefused, match=r"missing\.pem.*caFile"):
        await gather(chain.complete(prompt()))
    await chain.aclose()


def test_no_setting_turns_verification_off() -> None:
    assert not [name for name in Endpoint.__struct_fields__ if "verify" in name or "insecure" in name]


async def test_neither_key_nor_code_follows_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    async with Peer(LlamaServer()) as elsewhere:

        async def moved(request: Request, answer: Answer) -> None:
            await answer.whole(b"", 308, location=elsewhere.url + "/infill")

        async with Peer(moved) as peer:
            chain = chain_of("llamacpp", peer.url, keyVariable="LAB_KEY", headers={"x-team": "team-secret-header"})
            with pytest.raises(ProviderRefused, match="sends requests elsewhere"):
                await gather(chain.complete(prompt()))
            await chain.aclose()
    assert peer.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert not elsewhere.requests


async def test_proxies_are_used_for_others_and_never_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    async def passing_on(request: Request, answer: Answer) -> None:
        local = Request(request.method, request.path.removeprefix("http://lab.invalid:8012"), request.headers, request.body)
        await LlamaServer()(local, answer)

    async with Peer(passing_on) as proxy, Peer(LlamaServer()) as peer:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        near, far = chain_of("llamacpp", peer.url), chain_of("llamacpp", "http://lab.invalid:8012")
        await gather(near.complete(prompt()))
        assert not proxy.requests
        await gather(far.complete(prompt()))
        assert proxy.requests[0].path == "http://lab.invalid:8012/infill"
        monkeypatch.setenv("NO_PROXY", "lab.invalid")
        direct = chain_of("llamacpp", "http://lab.invalid:8012")
        with pytest.raises(ProviderUnavailable, match="not reachable"):
            await gather(direct.complete(prompt()))
        for chain in (near, far, direct):
            await chain.aclose()
    assert len(proxy.requests) == 1


async def test_headers_of_the_users_own_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Peer(LlamaServer()) as peer:
        chain = chain_of("llamacpp", peer.url, headers={"X-Team": "compilers"})
        await gather(chain.complete(prompt()))
        await chain.aclose()
    assert peer.requests[0].headers["x-team"] == "compilers"
    assert "authorization" not in peer.requests[0].headers


async def test_a_key_from_the_keyring_is_used_and_forgotten_at_logout(ring: Ring) -> None:
    keys.login("openai:lab", KEY)
    async with Peer(OpenAi(key=KEY)) as peer:
        chain = chain_of("openai", peer.url, family="qwen")
        assert (await gather(chain.complete(prompt())))[0] == "a + b"
        await chain.aclose()
    assert keys.logout("openai:lab")
    assert not ring.kept
    assert await keys.find("openai:lab", Endpoint(kind="openai")) is None


async def test_the_keyring_is_not_opened_for_a_provider_nobody_logged_in_to(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "get_password", lambda *names: pytest.fail("the keyring was asked"))
    assert await keys.find("openai:lab", Endpoint(kind="openai")) is None


async def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o640)
    with pytest.raises(ProviderRefused, match=r"can be read by others.*chmod 600"):
        await keys.find("openai:lab", Endpoint(kind="openai", key_file=str(file)))
    file.chmod(0o600)
    found = await keys.find("openai:lab", Endpoint(kind="openai", key_file=str(file)))
    assert found is not None
    assert found.reveal() == KEY


async def test_a_promised_key_that_is_not_there_is_said_with_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_KEY", raising=False)
    with pytest.raises(ProviderRefused, match=r"environment variable LAB_KEY .* is not set"):
        await keys.find("openai:lab", Endpoint(kind="openai", key_variable="LAB_KEY"))


async def test_a_key_that_the_editor_hands_over_is_used_for_its_own_provider_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFILL_KEY_MY_LAB", KEY)
    found = await keys.find("openai:my-lab", Endpoint(kind="openai"))
    assert found is not None
    assert found.reveal() == KEY
    assert await keys.find("openai:lab", Endpoint(kind="openai")) is None


def test_a_key_does_not_show_itself() -> None:
    secret = Secret(KEY)
    assert KEY not in f"{secret} {secret!r} {[secret]}"
    assert KEY.encode() not in pickle.dumps(secret)


def process_arguments() -> list[str]:
    return [file.read_text("utf-8", "replace") for file in [Path("/proc/self/cmdline")] if file.exists()]


async def test_the_key_is_in_nothing_that_the_program_writes(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Right key, wrong key, an echoing server, a redirect, a crash, the last request, the walk in the notes: everything written is searched."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("LAB_KEY", KEY)
    keys.login("openai:ring", KEY)
    written: list[str] = []
    told: list[InfillError] = []

    async def broken(request: Request, answer: Answer) -> None:
        given = request.headers["authorization"]
        await answer.events({"error": {"message": f"Traceback: header {given} of {KEY} unheard of"}}, done=False)

    async def moved(request: Request, answer: Answer) -> None:
        await answer.whole(b"", 307, location=f"http://elsewhere.invalid/{KEY}?key={KEY}")

    async with Peer(OpenAi(key=KEY)) as good, Peer(OpenAi(key="another")) as wrong, Peer(broken) as echo, Peer(moved) as redirect:
        urls = {"good": good.url, "wrong": wrong.url, "echo": echo.url, "away": redirect.url, "ring": good.url}
        for name, url in urls.items():
            endpoint = {
                "kind": "openai",
                "url": url,
                "family": "qwen",
                "model": "m",
                "headers": {"x-api-key": KEY},
                **({} if name == "ring" else {"keyVariable": "LAB_KEY"}),
            }
            chain = setup.chain(settings_for([f"openai:{name}"], {name: endpoint}), None, tell=told.append)
            try:
                written += [repr(event) async for event in chain.complete(prompt())]
            except InfillError as exc:
                written += traceback.format_exception(exc)
            remote = chain.find(f"openai:{name}")
            written += [repr(vars(remote)), repr(vars(remote.line)), repr(remote.line.last)]  # type: ignore[union-attr]
            await chain.aclose()
    written += [str(error) for error in told] + [record.getMessage() for record in caplog.records] + [*capfd.readouterr()]
    written += [file.read_text("utf-8", "replace") for file in (tmp_path / "home").rglob("*") if file.is_file()]
    written += process_arguments()
    assert len(told) == 2
    assert [text for text in written if KEY in text.replace(repr({"x-api-key": KEY}), "")] == []


async def test_secrets_in_every_part_of_a_prompt_are_masked_before_they_leave() -> None:
    leaked = "ghp_" + "a1B2" * 9
    async with Peer(LlamaServer()) as peer:
        chain = chain_of("llamacpp", peer.url)
        asked = prompt(prefix=f'a = "{leaked}"\n', suffix=f'\nb = "{leaked}"\n', snippets=(Snippet("x.py", f'c = "{leaked}"'),))
        _, _, report = await gather(chain.complete(asked))
        await chain.aclose()
    assert leaked.encode() not in peer.requests[0].body
    assert b"a1B2a1B2" not in peer.requests[0].body
    assert "3 secrets masked" in report.notes


async def test_a_file_that_must_not_leave_is_asked_of_no_remote_provider() -> None:
    async with Peer(LlamaServer()) as peer:
        chain = chain_of("llamacpp", peer.url)
        with pytest.raises(ProviderUnavailable, match="stays on this machine"):
            await gather(chain.complete(prompt(remote_allowed=False)))
        await chain.aclose()
    assert peer.connections == 0


async def test_the_last_request_can_be_shown_as_it_left_but_for_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_KEY", KEY)
    async with Peer(OpenAi(key=KEY)) as peer:
        chain = chain_of("openai", peer.url, family="qwen", keyVariable="LAB_KEY")
        await gather(chain.complete(prompt()))
        last = chain.find("openai:lab").line.last  # type: ignore[union-attr]
        await chain.aclose()
    assert last.body == peer.requests[-1].json
    assert last.url == peer.url + "/v1/completions"
    assert last.headers["authorization"] == "********"


async def test_a_password_in_an_address_is_refused() -> None:
    chain = chain_of("llamacpp", "http://me:pass@127.0.0.1:9")
    with pytest.raises(ProviderRefused, match="address of llamacpp:lab holds a password"):
        await gather(chain.complete(prompt()))
    await chain.aclose()


@pytest.mark.parametrize("switch", ["setting", "INFILL_OFFLINE", "HF_HUB_OFFLINE"])
async def test_offline_no_connection_is_tried_but_to_this_machine(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*names: Any, **more: Any) -> None:
        pytest.fail(f"a connection was tried: {names}")

    if switch != "setting":
        monkeypatch.setenv(switch, "1")
    async with Peer(LlamaServer()) as peer:
        privacy = {"offline": switch == "setting"}
        far = setup.chain(
            settings_for(
                ["openai:far"], {"far": {"kind": "openai", "url": "https://api.openai.com/v1", "family": "qwen", "model": "m"}}, privacy=privacy
            ),
            None,
        )
        near = setup.chain(settings_for(["llamacpp:near"], {"near": {"kind": "llamacpp", "url": peer.url}}, privacy=privacy), None)
        assert (await gather(near.complete(prompt())))[0] == "a + b"
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", forbidden)
        monkeypatch.setattr("socket.socket.connect", forbidden)
        with pytest.raises(ProviderUnavailable, match="infill is offline"):
            await gather(far.complete(prompt()))
        with pytest.raises(ProviderUnavailable, match="infill is offline"):
            await far.find("openai:far").models()  # type: ignore[union-attr]
        monkeypatch.undo()
        await far.aclose()
        await near.aclose()


def test_the_list_of_logins_is_for_its_owner_alone(ring: Ring) -> None:
    keys.login("openai:lab", KEY)
    file = keys._file()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert KEY not in file.read_text()


async def test_keys_reach_no_process_that_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine, the build and the probes ask no remote provider; the process that downloads is given the hub's token."""
    monkeypatch.setenv("INFILL_KEY_LAB", KEY)
    monkeypatch.setenv("MY_COMPANY_VARIABLE", KEY)
    monkeypatch.setenv("HF_TOKEN", KEY)
    file = tmp_path / "home" / "config" / "settings.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[providers.remote.work]\nkind = "openai"\nkeyVariable = "MY_COMPANY_VARIABLE"\n')
    assert not settings_file.load()[1]
    found = child.environment()
    assert not [name for name, value in found.items() if KEY in value]
    assert found["PATH"] == os.environ["PATH"]
    with child.running(child.python("-c", "import os; print(sorted(os.environ.values()))")) as process:
        assert KEY.encode() not in (process.line(30) or b"")
    assert child.environment(environment.hub_tokens())["HF_TOKEN"] == KEY
