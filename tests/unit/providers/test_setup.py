"""From settings to the list of who answers."""

from __future__ import annotations

from typing import Any

import pytest

from infill.errors import InfillError
from infill.providers import setup
from infill.providers.local import LocalProvider
from infill.providers.remote import Remote
from infill.settings import Settings, resolve

REMOTE = {"work": {"kind": "openai", "model": "own"}, "lab": {"kind": "llamacpp"}, "shared": {"kind": "ollama"}, "other": {"kind": "openai"}}


def settings_of(*order: str, complete: str = "") -> Settings:
    settings, problems = resolve({"providers": {"order": list(order), "remote": REMOTE}, "models": {"complete": complete}})
    assert not problems
    return settings


def names(settings: Settings, model: str = "local:bundled", told: list[InfillError] | None = None) -> list[str]:
    local = LocalProvider(settings, model=lambda: "local:bundled")
    chain = setup.chain(settings, local, model=model, tell=(told if told is not None else []).append)
    return [member.name for member in chain.members]


def model_of(settings: Settings, model: str, name: str) -> str:
    provider = setup.chain(settings, None, model=model).find(name)
    assert isinstance(provider, Remote)
    return provider.line.endpoint.model


def test_the_order_is_the_users() -> None:
    assert names(settings_of("llamacpp:lab", "local", "openai:work")) == ["llamacpp:lab", "local", "openai:work"]


def test_out_of_the_box_only_this_machine_answers() -> None:
    assert names(Settings()) == ["local"]


def test_a_provider_that_was_set_up_but_is_not_in_the_order_is_not_asked() -> None:
    assert names(settings_of("local")) == ["local"]


def test_a_name_that_means_nothing_is_told_and_left_out() -> None:
    told: list[InfillError] = []
    assert names(settings_of("openai:lab", "local"), told=told) == ["local"]
    assert "There is no provider 'openai:lab'" in told[0].message
    assert "llamacpp:lab" in told[0].hint


@pytest.mark.parametrize(
    ("model", "first", "asked"),
    [
        ("openai:work/gpt", "openai:work", "gpt"),
        ("openai:work", "openai:work", "own"),
        ("llamacpp:lab/x/y", "llamacpp:lab", "x/y"),
        ("ollama:qwen2.5-coder:1.5b-base", "ollama:shared", "qwen2.5-coder:1.5b-base"),
    ],
)
def test_the_provider_of_the_chosen_model_is_asked_first(model: str, first: str, asked: str) -> None:
    settings = settings_of("local", "openai:work")
    assert names(settings, model)[0] == first
    assert model_of(settings, model, first) == asked


def test_a_model_of_a_kind_that_is_set_up_twice_names_nobody() -> None:
    assert setup.provider_of("openai:gpt", settings_of("local")) == ""
    assert names(settings_of("local"), "openai:gpt") == ["local"]


@pytest.mark.parametrize(("order", "expected"), [(["local"], ["local"]), (["local", "openai:work"], ["openai:work", "local"])])
def test_a_model_that_a_setting_chose_sends_nothing_to_a_provider_outside_the_order(order: list[str], expected: list[str]) -> None:
    """A workspace may set models.complete, and providers.order only the user."""
    told: list[Any] = []
    assert names(settings_of(*order, complete="openai:work/gpt"), "openai:work/gpt", told) == expected
    assert len(told) == (0 if "openai:work" in order else 1)


def test_while_a_remote_model_is_chosen_the_local_one_stands_in_with_what_ships() -> None:
    assert setup.local_model("openai:work/gpt") == "local:bundled"
    assert setup.local_model("local:qwen") == "local:qwen"
