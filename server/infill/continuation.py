"""Prompts for models without fill-in-the-middle tokens, local or remote: the path and the snippets as comments, then the text before the cursor.

The model does not see the suffix. The answer ends at the next line of the suffix. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from infill.ask import Snippet

WARNING = "{name}: no fill-in-the-middle tokens are known for {model}; it continues the code before the cursor and does not see what follows."
HINT = "If it was trained for it, set providers.remote.{entry}.family."
NOTE = "continues only: the code behind the cursor is not seen"
REMARK = "It continues only: it has no fill-in-the-middle tokens and does not see the code after the cursor."
LEAST = 4
"""Minimum number of letters and digits in a line that ends the answer: a lone bracket is not unique enough."""
_HASH, _SLASHES, _DASHES, _MARKUP = ("# ", ""), ("// ", ""), ("-- ", ""), ("<!-- ", " -->")
_STYLES = {
    _HASH: "py pyi pyx rb sh bash zsh fish pl r jl yaml yml toml ex exs nix cmake tf mk dockerfile makefile ps1 coffee conf ini",
    _SLASHES: "c h cc cpp cxx hpp cs java js jsx mjs cjs ts tsx mts cts go rs kt kts swift scala dart php zig m groovy gradle proto v sv sol",
    _DASHES: "sql lua hs elm adb ads vhd vhdl",
    _MARKUP: "html htm xml md markdown vue svelte",
    ("/* ", " */"): "css scss less",
    ("% ", ""): "tex erl hrl pro",
    ("; ", ""): "el lisp clj cljs scm asm",
    ('" ', ""): "vim",
}
_BY_ENDING = {ending: style for style, endings in _STYLES.items() for ending in endings.split()}


class Question(Protocol):
    """The input of a completion, such as `ask.Prompt` or `engine.protocol.Complete`."""

    @property
    def path(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    @property
    def suffix(self) -> str: ...
    @property
    def snippets(self) -> tuple[Snippet, ...]: ...


def render(question: Question) -> str:
    """The text of the prompt."""
    return comments(question.path, question.snippets) + question.prefix


def comments(path: str, snippets: Sequence[Snippet]) -> str:
    """The snippets and the path as comment lines; empty if the comment syntax of this file type is unknown."""
    style = _BY_ENDING.get(path.rpartition("/")[2].rpartition(".")[2].lower())
    if style is None:
        return ""
    blocks = [_comment(f"{piece.path}\n{piece.text}", style) for piece in snippets]
    return "".join(f"{block}\n" for block in [*blocks, _comment(path, style)])


def _comment(text: str, style: tuple[str, str]) -> str:
    start, end = style
    # split the closing mark, which would end the comment
    lines = text.replace(end.strip(), " ".join(end.strip())).splitlines() if end else text.splitlines()
    return "\n".join(f"{start}{line}{end}".rstrip() for line in lines)


def line_below(suffix: str) -> str:
    """The first line below the cursor that is not blank, where the answer ends; empty if it is too short to be unique."""
    below = suffix.partition("\n")[2]
    line = next((line for line in below.split("\n") if line.strip()), "").rstrip()
    return line if sum(map(str.isalnum, line)) >= LEAST else ""


def ends(suffix: str) -> tuple[str, ...]:
    """The stop word for a server: the line below, at the beginning of a line."""
    line = line_below(suffix)
    return (f"\n{line}",) if line else ()


def is_one_line(suffix: str) -> bool:
    """Whether code follows the cursor in its line, so that the answer has one line."""
    return bool(suffix.partition("\n")[0].strip(" \t\r)]}\"'`;,:"))
