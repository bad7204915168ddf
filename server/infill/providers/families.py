"""How a model is asked to fill in the middle when its server takes a bare prompt: families.toml, and the prompt that follows from it.

Pure but for reading that file. A family follows from tokens that the server shows or from a setting; a model's name is never looked at.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Collection
from importlib import resources
from typing import Literal

import msgspec

from infill.ask import Prompt
from infill.errors import ProviderRefused

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_STOPS = 4
"""Stop words that an OpenAI-like API takes: with more, some refuse the request."""
MARKUP = frozenset(
    {"html", "htm", "xhtml", "xml", "svg", "vue", "svelte", "astro", "jsx", "tsx", "php", "erb", "hbs", "j2", "jinja", "ejs", "md", "mdx"}
)
"""Files in which `</s>` may end an element of the text."""
REPOSITORY = "project"
"""The name given to models that want one: the real one would tell where the code is from."""


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One family's tokens; families.toml says what each means."""

    name: str
    title: str
    order: Literal["psm", "spm"]
    prefix: str
    suffix: str
    middle: str
    ends: tuple[str, ...]
    file: str = ""
    repo: str = ""
    signs: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    by_name: bool = False
    tokens: tuple[str, ...] = ()
    """How its three tokens are spelled in a vocabulary, where that is not as in a prompt."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """All that a vocabulary must contain."""
        return (*(self.tokens or tuple(filter(None, (self.prefix, self.suffix, self.middle)))), *self.signs)


@functools.cache
def table() -> dict[str, Family]:
    """All families by name."""
    text = (resources.files("infill.providers") / "families.toml").read_text(encoding="utf-8")
    return {name: msgspec.convert({"name": name, **entry}, Family) for name, entry in tomllib.loads(text).items()}


def recognize(vocabulary: Collection[str]) -> Family | None:
    """The one family that a vocabulary fits; None where it fits none, or more than one."""
    fits = [family for family in table().values() if not family.by_name and _fits(family, vocabulary)]
    return fits[0] if len(fits) == 1 else None


def _fits(family: Family, vocabulary: Collection[str]) -> bool:
    return all(token in vocabulary for token in family.evidence) and not any(token in vocabulary for token in family.unless)


def named(name: str, provider: str) -> Family:
    """The family that a setting names. Raises ProviderRefused with the names that there are."""
    if name in table():
        return table()[name]
    raise ProviderRefused(f"There is no model family {name!r}.",
                          f"providers.remote.{provider.partition(':')[2]}.family may be: {', '.join(table())}.")  # fmt: skip


def render(family: Family, prompt: Prompt) -> str:
    """The prompt as this family was trained to read it. Special tokens that the user's own text spells are broken, so that they stay text."""
    prefix, suffix = neutral(family, prompt.prefix), neutral(family, prompt.suffix)
    if family.order == "psm":
        fill = f"{family.prefix}{prefix}{family.suffix}{suffix}{family.middle}"
    else:
        fill = f"{family.suffix}{suffix}{family.prefix}{prefix}{family.middle}"
    return _before(family, prompt) + fill


def _before(family: Family, prompt: Prompt) -> str:
    """Other files' text, where the family knows how to tell files apart; then this file's name."""
    if not family.file:
        return ""
    others = "".join(f"{family.file}{neutral(family, piece.path)}\n{neutral(family, piece.text)}\n" for piece in prompt.snippets)
    own = f"{family.file}{neutral(family, prompt.path)}\n" if prompt.path and (others or not family.repo) else ""
    repository = f"{family.repo}{REPOSITORY}\n" if family.repo and (others or own) else ""
    return repository + others + own


def ends(family: Family, prompt: Prompt) -> tuple[str, ...]:
    """The words that end an answer of the family. `</s>` is an element's end in markup: what the server ends by its own token needs no word."""
    markup = prompt.path.rpartition(".")[2].lower() in MARKUP
    return tuple(word for word in family.ends if word != "</s>" or not markup)


def neutral(family: Family, text: str) -> str:
    """The user's text with each special token of the family taken apart by one space."""
    for token in {family.prefix.strip(), family.suffix.strip(), family.middle.strip(), family.file, family.repo, *family.ends}:
        if len(token) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text
