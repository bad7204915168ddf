"""Golden prompts, and what a vocabulary says of a model's family."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infill.ask import Prompt, Snippet
from infill.errors import ProviderRefused
from infill.providers import families

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GOLDEN = tomllib.loads((Path(__file__).parents[2] / "golden" / "families.toml").read_text("utf-8"))


def question(**changes: object) -> Prompt:
    return Prompt(**{"slot": "s", "prefix": "a\n", "suffix": "c\n", "path": "main.py", "snippets": (Snippet("util.py", "u = 1"),), **changes})  # type: ignore[arg-type]


def test_every_family_has_a_golden_prompt() -> None:
    assert set(GOLDEN) == set(families.table())


@pytest.mark.parametrize("name", GOLDEN)
def test_the_prompt_is_as_the_family_was_trained(name: str) -> None:
    assert families.render(families.table()[name], question()) == GOLDEN[name]["prompt"]


@pytest.mark.parametrize("name", GOLDEN)
def test_special_tokens_in_the_users_own_text_stay_text(name: str) -> None:
    family = families.table()[name]
    hostile = "".join((family.middle, family.suffix, family.prefix, *family.ends))
    rendered = families.render(family, question(prefix=hostile, suffix=hostile, path="", snippets=()))
    clean = families.render(family, question(prefix="", suffix="", path="", snippets=()))
    for token in {family.prefix, family.suffix, family.middle} - {""}:
        assert rendered.count(token) == clean.count(token)


@pytest.mark.parametrize("name", [name for name, family in families.table().items() if not family.by_name])
def test_a_family_is_known_by_its_vocabulary_and_by_no_other(name: str) -> None:
    family = families.table()[name]
    assert families.recognize({*family.evidence, "the"}) == family


def test_a_vocabulary_that_fits_two_families_fits_none() -> None:
    both = {*families.table()["qwen"].evidence, *families.table()["deepseek"].evidence}
    assert families.recognize(both) is None


def test_tokens_shared_by_two_orders_are_not_guessed() -> None:
    starcoder_1_or_mellum = {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<filename>", "<reponame>"}
    assert families.recognize(starcoder_1_or_mellum) is None


def test_a_family_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(ProviderRefused, match=r"no model family 'gpt'.*providers\.remote\.lab\.family may be: .*qwen"):
        families.named("gpt", "openai:lab")


@pytest.mark.parametrize(("path", "cuts"), [("a.py", True), ("page.html", False), ("src/App.TSX", False), ("README.md", False), ("", True)])
def test_the_end_of_a_struck_through_element_ends_no_answer_in_markup(path: str, cuts: bool) -> None:
    family = families.table()["codellama"]
    words = families.ends(family, Prompt(slot="", prefix="<s>old", suffix="", path=path))
    assert ("</s>" in words) is cuts
    assert "<EOT>" in words
