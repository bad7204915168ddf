"""Fill-in-the-middle prompts for servers that take a raw prompt: the families in families.toml, and rendering.

Pure except for reading that file. The family follows from the server's tokens or from a setting, never from the model's name.
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
"""Maximum number of stop words: some OpenAI-compatible servers refuse requests with more."""
MARKUP = frozenset(
    {"html", "htm", "xhtml", "xml", "svg", "vue", "svelte", "astro", "jsx", "tsx", "php", "erb", "hbs", "j2", "jinja", "ejs", "md", "mdx"}
)
"""Languages in which `</s>` may be a closing tag in the text."""
REPOSITORY = "project"
"""The repository name in prompts of families that need one. The real name would reveal where the code is from."""


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tokens of one family; families.toml documents the fields."""

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
    """How a vocabulary spells its three tokens, if that differs from a prompt."""

    @property
    def evidence(self) -> tuple[str, ...]:
        """All tokens that the vocabulary must contain."""
        return (*(self.tokens or tuple(filter(None, (self.prefix, self.suffix, self.middle)))), *self.signs)


@functools.cache
def table() -> dict[str, Family]:
    """All families by name."""
    text = (resources.files("infill.providers") / "families.toml").read_text(encoding="utf-8")
    return {name: msgspec.convert({"name": name, **entry}, Family) for name, entry in tomllib.loads(text).items()}


def recognize(vocabulary: Collection[str]) -> Family | None:
    """The only family that matches a vocabulary; None if none or several match."""
    fits = [family for family in table().values() if not family.by_name and _fits(family, vocabulary)]
    return fits[0] if len(fits) == 1 else None


def _fits(family: Family, vocabulary: Collection[str]) -> bool:
    return all(token in vocabulary for token in family.evidence) and not any(token in vocabulary for token in family.unless)


def named(name: str, provider: str) -> Family:
    """The family that a setting names. Raises ProviderRefused with the list of known names."""
    if name in table():
        return table()[name]
    raise ProviderRefused(f"There is no model family {name!r}.",
                          f"providers.remote.{provider.partition(':')[2]}.family may be: {', '.join(table())}.")  # fmt: skip


def render(family: Family, prompt: Prompt) -> str:
    """The prompt in the family's training format. Special tokens in the user's text are broken up, so that they remain text."""
    prefix, suffix = neutral(family, prompt.prefix), neutral(family, prompt.suffix)
    if family.order == "psm":
        fill = f"{family.prefix}{prefix}{family.suffix}{suffix}{family.middle}"
    else:
        fill = f"{family.suffix}{suffix}{family.prefix}{prefix}{family.middle}"
    return _before(family, prompt) + fill


def _before(family: Family, prompt: Prompt) -> str:
    """The text of other files, if the family has file separators; then this file's name."""
    if not family.file:
        return ""
    others = "".join(f"{family.file}{neutral(family, piece.path)}\n{neutral(family, piece.text)}\n" for piece in prompt.snippets)
    own = f"{family.file}{neutral(family, prompt.path)}\n" if prompt.path and (others or not family.repo) else ""
    repository = f"{family.repo}{REPOSITORY}\n" if family.repo and (others or own) else ""
    return repository + others + own


def ends(family: Family, prompt: Prompt) -> tuple[str, ...]:
    """The stop words of the family. In markup `</s>` is a closing tag and therefore no stop word; the server stops at its own token."""
    markup = prompt.path.rpartition(".")[2].lower() in MARKUP
    return tuple(word for word in family.ends if word != "</s>" or not markup)


def neutral(family: Family, text: str) -> str:
    """The user's text with a space inside each special token of the family."""
    for token in {family.prefix.strip(), family.suffix.strip(), family.middle.strip(), family.file, family.repo, *family.ends}:
        if len(token) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text
