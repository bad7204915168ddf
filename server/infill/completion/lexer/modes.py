"""The lexer's modes: for each kind of text, one regular expression that matches the next relevant token, and its action. Pure.

The alternatives of a mode are tried in their order. Each names an action of `scanner.Scanner` and the action's argument.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from infill.completion.lexer.languages import ALIASES, String, language_of

CLOSED_BY = {"(": ")", "[": "]", "{": "}", "<": ">"}
_PREFIX = re.compile(r"[\w$@]+(?=\W)")
_OPEN, _CLOSE = r"[(\[{]", r"[)\]}]"
_TAG = r"<[A-Za-z][\w:.$-]*|<(?=>)"
_CLOSING_TAG = r"</\s*[\w:.$-]*\s*>"
_INDENTED = "|".join(rf"(?<=\n[ \t]{{{count}}})" for count in range(1, 5))
_FENCE = rf"(?:(?m:^)|{_INDENTED})(?:```|~~~)[^\n]*"
_LOOKAROUND = re.compile(r"\(\?<?[=!](?:[^()\[\]\\]|\\.|\[(?:\\.|[^\]\\])*\])*\)")
_DELIMITERS = "\"'`#/;%|<>()[]{}$@~-"
_REGEX = String("/", skips=r"\[(?:\\.|[^\]\\\n])*\]")
_CHARACTER = r"'(?=(?:\\[^\n']*'|\\'|[^'\\\n]'|'))"

Rule = tuple[str, object]
Alternative = tuple[str, str, object]
"""An action's name, the regular expression that triggers it, and the action's argument."""


class Mode:
    """How text is read until the mode changes."""

    __slots__ = ("code", "language", "match", "rules")

    def __init__(self, language: str, alternatives: list[Alternative], code: bool = False) -> None:
        self.language = language
        self.code = code
        """Brackets have to match."""
        found = [*alternatives, ("skip", "(?s:.)", None)]
        passed = "".join(re.escape(character) for character in sorted(set().union(*(_first(regex) for _, regex, _ in alternatives))))
        pattern = "|".join(f"(?P<g{number}>{regex})" for number, (_, regex, _) in enumerate(found))
        self.match = re.compile(f"[^{passed}]*(?:{pattern})").match
        self.rules: dict[str | None, Rule] = {f"g{number}": (action, need) for number, (action, _, need) in enumerate(found)}


class Embedded(NamedTuple):
    """Code of another language inside text: its mode, and the text that ends it."""

    mode: Mode
    closer: str


def _first(regex: str) -> set[str]:
    """Characters that a match may begin with, and possibly a few more; all others are skipped fast."""
    plain = _LOOKAROUND.sub("", regex)
    literal = {"\\n": "\n"}.get(plain[:2], plain[1:2] if plain.startswith("\\") else "")
    return {literal or plain[0], *(character for character in _DELIMITERS if character in plain)}


CODE_ATTRIBUTE = re.compile(r"(?:(?<=\s)(?:[:@#]|v-)[^\s=>\"']*|\bon\w+)=\Z")
"""Matches before an attribute value that is code: Vue bindings and HTML event handlers."""


def closer_of(opener: str) -> str:
    """The closer of a string with this opener."""
    if opener.startswith(("[", "--[")):  # Lua
        return opener.replace("[", "]").lstrip("-")
    if opener.endswith("("):  # C++
        return f"){opener.partition(chr(34))[2][:-1]}{chr(34)}"
    if opener.endswith("$") or opener == "/":
        return opener
    body = opener[match.end() :] if (match := _PREFIX.match(opener)) else opener
    return body[::-1] if body.startswith("#") else body  # Rust


@lru_cache(maxsize=256)
def code(name: str, outer: str = "") -> Mode:
    """Program text of a language, up to a match of the regular expression `outer`."""
    name = ALIASES.get(name, name)
    language = language_of(name)
    found: list[Alternative] = [("outer", outer, None)] if outer else []
    found += [("block", re.escape(opener), (closer, name)) for opener, closer in language.blocks]
    if language.line:
        found += [("skip", rf"(?:{language.line})[^\n]*(?=\n)", None), ("comment", language.line, name)]
    if language.heredoc:
        found.append(("heredoc", language.heredoc, name))
    found += [("string", string.opener, (string, name)) for string in language.strings]
    if language.characters:
        found += [("string", _CHARACTER, (String("'"), name)), ("partial", r"'\Z", None)]
    found += [("open", _OPEN, None), ("close", _CLOSE, None)]
    if language.tags:
        found += [("closing_tag", _CLOSING_TAG, None), ("element", _TAG, "jsx"), ("partial", r"<\Z", None)]
    if language.angles:
        found += [("angle", r"(?<=[\w:])<(?![=<\s])|(?<=include )<", None), ("angle_end", "(?<![-=])>", None)]
    if language.pipes:
        found += [("skip", r"\|\|", None), ("pipe", r"\|", None)]
    if language.regex:
        found += [("partial", r"/\Z", None), ("regex", "/", (_REGEX, name))]
    return Mode(name, found, code=True)


@lru_cache(maxsize=256)
def string(name: str, kind: String, closer: str) -> Mode:
    """Text in a string literal."""
    found: list[Alternative] = []
    if kind.skips:
        found.append(("skip", kind.skips, None))
    if kind.holes:
        found.append(("hole", kind.holes, name))
    if kind.escapes:
        found += [("skip", r"\\(?s:.)", None), ("partial", r"\\\Z", None)]
    found.append(("end", re.escape(closer), closer))
    if not kind.lines:
        found.append(("line_end", r"\n", None))
    return Mode(name, [*found, *_pairs_of_text(quotes=kind.prose and closer[0] != '"')])


@lru_cache(maxsize=256)
def comment(name: str, closer: str) -> Mode:
    """Text of a comment, up to `closer` (a line break for line comments)."""
    return Mode(name, [("end", re.escape(closer), closer), *_pairs_of_text(quotes=True)])


@lru_cache(maxsize=256)
def heredoc(name: str, word: str) -> Mode:
    """The lines of a here-document."""
    return Mode(name, [("end", rf"\n[ \t]*{re.escape(word)}\b", word), ("hole", r"\$\(|\$\{|#\{|\{(?=\$)", name), *_pairs_of_text(quotes=True)])


@lru_cache(maxsize=64)
def prose(name: str) -> Mode:
    """Text without code, such as Markdown and LaTeX."""
    language = language_of(name)
    found: list[Alternative] = [("block", re.escape(opener), (closer, name)) for opener, closer in language.blocks]
    if language.line:
        found.append(("comment", language.line, name))
    if name == "markdown":
        found += [("fence", rf"{_FENCE}\n", None), ("partial", rf"{_FENCE}\Z", None)]
    return Mode(name, [*found, ("skip", r"\\.", None), *_pairs_of_text(quotes=True)])


@lru_cache(maxsize=64)
def text(dialect: str) -> Mode:
    """Text between tags."""
    found: list[Alternative] = [] if dialect == "jsx" else [("block", "<!--", ("-->", "html")), *_embedded(dialect)]
    found += [("skip", r"<!\[CDATA\[(?s:.*?)\]\]>|<![^>]*>|<\?[^>]*>", None)]
    found += [("closing_tag", _CLOSING_TAG, None), ("element", _TAG, dialect), ("partial", r"<\Z", None), *_holes(dialect)]
    return Mode(dialect, [*found, *_pairs_of_text(quotes=True)])


@lru_cache(maxsize=64)
def tag(dialect: str) -> Mode:
    """The attributes of an element."""
    found: list[Alternative] = [("partial", r"/\Z", None), ("self_closed", "/>", None), ("tag_end", ">", dialect), *_embedded(dialect)]
    value = String("[\"']", lines=True, escapes=False, holes=r"\{" if dialect == "svelte" else "")
    return Mode(dialect, [*found, ("attribute", value.opener, (value, _script(dialect))), *_holes(dialect)])


def element_content(dialect: str, name: str) -> Mode:
    """The mode of the text inside an element."""
    if dialect not in {"jsx", "xml"} and name in {"script", "style"}:
        return code("typescript" if name == "script" else "scss", rf"(?i:</{name}\s*>)")
    return text(dialect)


@lru_cache(maxsize=64)
def fenced(word: str) -> Mode:
    """Code in a Markdown fence."""
    return code(word or "plaintext", rf"{_FENCE}(?=\n|\Z)")


def root(name: str) -> Mode:
    """The mode at the beginning of a document."""
    name = ALIASES.get(name, name)
    language = language_of(name)
    if language.markup:
        return text(language.markup)
    return prose(name) if language.prose else code(name)


def _pairs_of_text(quotes: bool) -> list[Alternative]:
    """Brackets and quotes in text, which usually come in pairs but do not have to."""
    found: list[Alternative] = [("weak", _OPEN, None), ("close", _CLOSE, None)]
    return [*found, ("quote", '["`]', None)] if quotes else found


def _script(dialect: str) -> str:
    return "typescriptreact" if dialect == "jsx" else "typescript"


def _holes(dialect: str) -> list[Alternative]:
    if dialect == "jsx":
        return [("hole", r"\{", _script(dialect))]
    return [("hole", r"\{(?:[#/:@]\w+)?", _script(dialect))] if dialect == "svelte" else []


def _embedded(dialect: str) -> list[Alternative]:
    if dialect == "php":
        return [("embedded", r"<\?(?:php\b|=)?", Embedded(code("php code", r"\?>"), "?>"))]
    if dialect not in {"html", "vue"}:
        return []
    pairs = [(r"\{\{", "}}")] if dialect == "vue" else [(r"\{\{", "}}"), (r"\{%", "%}"), ("<%[=-]?", "%>")]
    return [("embedded", opener, Embedded(code("typescript", re.escape(closer)), closer)) for opener, closer in pairs]
