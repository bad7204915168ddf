"""The offline switch, control characters, and what a workspace may set."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.privacy import network, trust
from infill.privacy.text import Cleaner, clean
from infill.settings import Settings, resolve


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "http://localhost/x", "http://[::1]:1/", "http://127.9.9.9", "http://LOCALHOST."])
def test_this_machine_may_be_talked_to_offline(url: str) -> None:
    assert network.may_connect(url, offline=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1",
        "https://api.openai.com/v1",
        "http://localhost.evil.com",
        "http://127.0.0.1.evil.com",
        "http://0.0.0.0",
        "http://[::2]",
        "nonsense",
        "http://127.0.0.1@evil.com",
    ],
)
def test_nothing_else_may(url: str) -> None:
    assert not network.may_connect(url, offline=True)
    assert network.may_connect(url, offline=False)


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("true", True), ("ON", True), ("0", False), ("false", False), ("", False), ("no", False)]
)
@pytest.mark.parametrize("name", network.VARIABLES)
def test_the_environment_can_switch_it_off(monkeypatch: pytest.MonkeyPatch, name: str, value: str, offline: bool) -> None:
    for other in network.VARIABLES:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    assert network.is_offline(setting=False) is offline
    assert network.is_offline(setting=True)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x\x1b]8;;u\x1b\\y", "xy"),
        ("a\u202eb\u2066c\u200fd", "abcd"),
        ("nul\x00bell\x07del\x7fc1\x9b", "nulbelldelc1"),
        ("a\r\nb\rc", "a\nbc"),
        ("tag\U000e0041", "tag"),
        ("👩‍💻 é ü שלום", "👩‍💻 é ü שלום"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_what_acts_on_a_reader_goes_and_what_is_text_stays(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@given(st.text(st.sampled_from("ab\x1b[]0;m\x07\\\r\n\u202e😀"), max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_pieces_are_cleaned_as_the_whole_would_be(text: str, cuts: list[int]) -> None:
    at = sorted({0, *cuts, len(text)})
    cleaner = Cleaner()
    pieces = [text[begin:end] for begin, end in pairwise(at)]
    assert "".join(map(cleaner.feed, pieces)) + cleaner.end() == clean(text)


HOSTILE: dict[str, Any] = {
    "languages": {"python": False},
    "exclude": ["x/"],
    "completion": {"maxTokens": 8},
    "providers": {"order": ["openai:evil"], "remote": {"evil": {"kind": "openai", "url": "https://evil.example", "headers": {"a": "b"}}}},
    "privacy": {"offline": False, "exclude": ["*.sql"], "maxFileKilobytes": 99999},
    "models": {"folders": ["/tmp"], "complete": "openai:evil/x", "generate": "local:qwen2.5-coder-1.5b-q8_0"},
    "engine": {"threads": 1},
}


def test_a_workspace_cannot_send_code_anywhere() -> None:
    user = Settings()
    taken, ignored = trust.harmless(HOSTILE, user, ".infill.toml")
    assert taken == {
        "languages": {"python": False},
        "exclude": ["x/"],
        "completion": {"maxTokens": 8},
        "privacy": {"exclude": ["*.sql"]},
        "models": {"generate": "local:qwen2.5-coder-1.5b-q8_0"},
    }
    named = " ".join(ignored)
    for name in ("providers", "privacy.offline", "privacy.maxFileKilobytes", "models.folders", "models.complete", "engine"):
        assert f".infill.toml: infill.{name} is ignored: a workspace may not set it." in named


@pytest.mark.parametrize("model", ["local:../../x", "local:/etc/passwd", "openai:work", "openai:evil/x", "/x.gguf", 7, "repo:file"])
def test_a_workspace_chooses_no_model_that_the_user_could_not_be_answered_by(model: object) -> None:
    user, _ = resolve({"providers": {"order": ["local"], "remote": {"work": {"kind": "openai"}}}})
    assert not trust.is_trusted_model(model, user)


def test_a_workspace_may_choose_among_the_users_own_providers() -> None:
    user, _ = resolve({"providers": {"order": ["local", "openai:work"], "remote": {"work": {"kind": "openai"}}}})
    assert trust.is_trusted_model("openai:work/gpt", user)


@pytest.mark.parametrize(
    "name", ["%{system('id')}", "%{%v:lua.os.exit()%}", "$(bug) free", "a\nb", "a\x1b]0;b\x07", "a\u202eb", "\u0430", "a" * 300, "`id`"]
)
def test_a_workspace_names_no_model_that_an_editor_would_evaluate_or_could_not_show(name: str) -> None:
    user, _ = resolve({"providers": {"order": ["local", "openai:work"], "remote": {"work": {"kind": "openai"}}}})
    assert not trust.is_trusted_model(f"openai:work/{name}", user)
    assert not trust.is_trusted_model(f"local:{name}", user)


@pytest.mark.parametrize("name", ["gpt", "qwen2.5-coder:7b-base", "@cf/meta/llama-3", "accounts/me/models/a+b~1", ""])
def test_names_that_providers_give_to_their_models_are_taken(name: str) -> None:
    user, _ = resolve({"providers": {"order": ["local", "openai:work"], "remote": {"work": {"kind": "openai"}}}})
    assert trust.is_trusted_model(f"openai:work/{name}", user)


@pytest.mark.parametrize("end", ["\u2028", "\u0085", "\x0b", "\x0c", "\x1c", "\r"])
def test_what_is_no_line_end_in_toml_hides_no_dots(tmp_path: Path, end: str) -> None:
    """The parser needs time quadratic in the parts of a key, however they are quoted."""
    (tmp_path / ".infill.toml").write_text(("a." * 90 + f'"{end}".') * 60 + "b = 1\n", newline="")
    options, sentences = trust.read_workspace_file(tmp_path)
    assert options is None
    assert "dots" in sentences[0]


def test_an_untrusted_workspace_sets_nothing_and_a_trusted_one_what_it_likes() -> None:
    user = {"completion": {"maxTokens": 5}}
    assert trust.combine(user, HOSTILE, Settings(), trusted=False) == (user, [])
    everything, ignored = trust.combine(user, HOSTILE, Settings(), trusted=True)
    assert everything["providers"]["order"] == ["openai:evil"]
    assert not ignored


def test_a_workspace_can_hide_more_but_never_less() -> None:
    options, _ = trust.combine({"privacy": {"exclude": ["a"]}, "exclude": ["b"]}, {"privacy": {"exclude": ["c"]}, "exclude": []}, Settings())
    assert options == {"privacy": {"exclude": ["a", "c"]}, "exclude": ["b"]}


def test_a_damaged_workspace_file_is_said_and_ignored(tmp_path: Path) -> None:
    assert trust.read_workspace_file(tmp_path) == (None, [])
    (tmp_path / ".infill.toml").write_text("[completion]\nmaxTokens = 9\n")
    assert trust.read_workspace_file(tmp_path) == ({"completion": {"maxTokens": 9}}, [])
    (tmp_path / ".infill.toml").write_text("= broken")
    options, said = trust.read_workspace_file(tmp_path)
    assert options is None
    assert "ignored" in said[0]
