"""Completion with a model that only continues text: what stands before the cursor is the prompt, other files and the path are comments above it.

The suffix is not shown to the model; its next line says where the answer has to end. Pure.
"""

from __future__ import annotations

from infill.ask import Prompt

WARNING = "{name}: no fill-in-the-middle tokens are known for {model}; it continues the code before the cursor and does not see what follows."
HINT = "If it was trained for it, set providers.remote.{entry}.family."
NOTE = "continues only: the code behind the cursor is not seen"
LEAST = 4
"""Letters and digits of a line, at least, by which it is told from others: a lone bracket ends nothing."""
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


def render(prompt: Prompt) -> str:
    """The prompt's text; files whose comments are not known contribute nothing."""
    style = _BY_ENDING.get(prompt.path.rpartition("/")[2].rpartition(".")[2].lower())
    if style is None:
        return prompt.prefix
    above = [_comment(f"{piece.path}\n{piece.text}", style) for piece in prompt.snippets]
    own = [_comment(prompt.path, style)] if prompt.path else []
    return "".join(f"{block}\n" for block in [*above, *own]) + prompt.prefix


def _comment(text: str, style: tuple[str, str]) -> str:
    start, end = style
    # what would close the comment is taken apart
    lines = text.replace(end.strip(), " ".join(end.strip())).splitlines() if end else text.splitlines()
    return "\n".join(f"{start}{line}{end}".rstrip() for line in lines)


def ends(prompt: Prompt) -> tuple[str, ...]:
    """Where the answer meets what stands behind the cursor: the next line that can be told from others, at the beginning of a line."""
    _, newline, below = prompt.suffix.partition("\n")
    line = next((line for line in below.split("\n") if line.strip()), "") if newline else ""
    return (f"\n{line.rstrip()}",) if sum(map(str.isalnum, line)) >= LEAST else ()


def is_one_line(prompt: Prompt) -> bool:
    """Whether code stands behind the cursor in its line: the answer belongs into this line, then."""
    return bool(prompt.suffix.partition("\n")[0].strip(" \t\r)]}\"'`;,:"))
