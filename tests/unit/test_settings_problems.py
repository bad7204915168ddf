"""What is said of settings that are not valid, and what of the others stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.settings import resolve

GOOD = {"kind": "ollama", "url": "http://h:11434"}
WRONG: dict[str, tuple[Any, list[str]]] = {
    "an address without a scheme": ({"kind": "llamacpp", "url": "localhost:8012"}, ["bad.url", "'localhost:8012'", "http://localhost:8012"]),
    "an impossible port": ({"kind": "llamacpp", "url": "http://h:99999"}, ["bad.url", "1 to 65535"]),
    "port zero": ({"kind": "llamacpp", "url": "http://h:0"}, ["bad.url", "1 to 65535"]),
    "a port that is a word": ({"kind": "llamacpp", "url": "http://h:port"}, ["bad.url", "1 to 65535"]),
    "no host": ({"kind": "llamacpp", "url": "https://"}, ["bad.url", "HOST"]),
    "half an IPv6 address": ({"kind": "llamacpp", "url": "http://[::1"}, ["bad.url", "is not an address"]),
    "a blank in the address": ({"kind": "llamacpp", "url": "http://my host"}, ["bad.url", "is not an address"]),
    "another scheme": ({"kind": "llamacpp", "url": "ftp://h"}, ["bad.url", "http:// or https://"]),
    "an unknown field": ({"kind": "openai", "modle": "m"}, ["bad.modle", "model"]),
    "an unknown kind": ({"kind": "gemini"}, ["bad.kind", "'gemini'", "llamacpp, mistral, ollama, openai"]),
    "no kind": ({"url": "http://h"}, ["bad.kind", "missing", "llamacpp, mistral, ollama, openai"]),
    "a time too short": ({"kind": "openai", "timeoutMs": 5}, ["bad.timeoutMs", "5", "from 100 to 120000"]),
    "a number in place of a text": ({"kind": "openai", "model": 7}, ["bad.model", "7", "a text"]),
    "a header with a line break": ({"kind": "openai", "headers": {"x": "a\nb"}}, ["bad.headers.x", "ASCII"]),
    "a text in place of a table": ("http://h", ["bad", "must be a table"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_wrong_provider_takes_away_only_itself(name: str) -> None:
    entry, words = WRONG[name]
    settings, problems = resolve({"providers": {"order": ["ollama:good"], "remote": {"bad": entry, "good": GOOD}}})
    assert list(settings.providers.remote) == ["good"]
    assert settings.providers.order == ["ollama:good"]
    assert len(problems) == 1
    assert problems[0].startswith("infill.providers.remote.bad")
    assert all(word in problems[0] for word in words)


def test_every_field_that_is_wrong_is_said() -> None:
    _, problems = resolve({"providers": {"remote": {"bad": {"kind": "x", "url": 3, "modle": "m"}}}})
    assert [problem.partition(" ")[0] for problem in problems] == [f"infill.providers.remote.bad.{field}" for field in ("kind:", "url:", "modle")]


def test_a_password_in_a_wrong_address_is_not_repeated() -> None:
    _, problems = resolve({"providers": {"remote": {"bad": {"kind": "openai", "url": "me:hush@h"}}}})
    assert "hush" not in str(problems)


def test_a_wrong_header_is_said_without_its_value() -> None:
    _, problems = resolve({"providers": {"remote": {"bad": {"kind": "openai", "headers": {"api-key": "hüsh"}}}}})
    assert "api-key" in problems[0]
    assert "sh" not in problems[0].replace("this", "")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"completion": {"maxTokens": 0}},
            "infill.completion.maxTokens: 0 is not allowed; it is a whole number from 1 to 1024; the default is used.",
        ),
        ({"completion": {"popup": "x"}}, "infill.completion.popup: 'x' is not allowed; it is one of always, auto, never; the default is used."),
        ({"engine": {"threads": "all"}}, "infill.engine.threads: 'all' is not allowed; it is a whole number of at least 1; the default is used."),
        ({"completion": 4}, "infill.completion: 4 is not allowed; it is a table; the default is used."),
        ({"providers": {"order": "local"}}, "infill.providers.order: 'local' is not allowed; it is a list of texts; the default is used."),
    ],
)
def test_a_wrong_value_is_said_with_what_is_allowed(options: dict[str, Any], sentence: str) -> None:
    assert resolve(options)[1] == [sentence]


def test_a_wrong_element_of_a_list_or_table_takes_away_only_itself() -> None:
    settings, problems = resolve({"exclude": ["*.log", 3], "languages": {"go": "off", "c": False}, "privacy": {"exclude": [None, "*.key"]}})
    assert settings.exclude == ["*.log"]
    assert settings.languages == {"c": False}
    assert settings.privacy.exclude == ["*.key"]
    assert len(problems) == 3


@given(
    st.dictionaries(
        st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(max_size=20), lambda x: st.dictionaries(st.text(max_size=9), x))
    )
)
def test_whatever_stands_beside_a_provider_it_stays_and_no_expression_is_shown(others: dict[str, Any]) -> None:
    settings, problems = resolve({"providers": {"remote": {**others, "good": GOOD}}})
    assert "good" in settings.providers.remote
    assert not any("^" in problem and "^" not in str(others) for problem in problems)
