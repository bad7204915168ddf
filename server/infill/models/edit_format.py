"""The prompt format of a next-edit model, from its file's metadata and the control tokens of its vocabulary. The file's name is not used.

Both must agree: a base model has Sweep's tokens too, and metadata without the tokens indicates a conversion that lost them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Literal, get_args

EditFormat = Literal["sweep", "sweep-card", "zeta2", "zeta2.1", "instruct"]

_QWEN = ("<|file_sep|>", "<|endoftext|>")
_SEED = ("<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>")
CONTROLS: dict[EditFormat, tuple[str, ...]] = {"sweep": _QWEN, "sweep-card": _QWEN, "zeta2": _SEED, "zeta2.1": _SEED, "instruct": ()}
"""Control tokens that a format's prompts need, each one token of the vocabulary."""
KNOWN = tuple(sorted({token for tokens in CONTROLS.values() for token in tokens}))
KEY = "infill.edit_format"
"""Metadata key by which a file may state its format."""
NAMES = ("general.name", "general.basename", "general.finetune", "general.base_model.0.name")
_NAMED: tuple[tuple[EditFormat, re.Pattern[str]], ...] = (
    ("sweep", re.compile(r"(?i)\bsweep[\s_-]*next[\s_-]*edit")),
    ("zeta2.1", re.compile(r"(?i)\bzeta[\s_-]*2\.1(?!\d)")),
    ("zeta2", re.compile(r"(?i)\bzeta[\s_-]*2(?![\d.])")),
)


def recognized(named: str, names: Iterable[str], controls: Collection[str]) -> EditFormat | Literal[""]:
    """The format of a file, from `KEY` or else from its publisher's names; empty: not a known next-edit model.

    `controls`: the tokens of `KNOWN` in its vocabulary.
    """
    by_key = next((each for each in get_args(EditFormat) if each == named), None)
    by_name = next((each for words in names for each, pattern in _NAMED if pattern.search(words)), None)
    found: EditFormat | None = by_key or by_name
    return found if found and has_controls(found, controls) else ""


def has_controls(name: EditFormat, controls: Collection[str]) -> bool:
    """Whether a vocabulary has the control tokens of a format."""
    return set(CONTROLS[name]) <= set(controls)
