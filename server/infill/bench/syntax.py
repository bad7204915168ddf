"""The brackets, quotes, comments and regular expressions of a source file, and their pairs. Pure.

The whole file is lexed with Pygments, so that the benchmark does not use infill's own rules to evaluate infill.
"""

from __future__ import annotations

import re

import msgspec
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, String, _TokenType

LEXERS = {"javascriptreact": "jsx", "shellscript": "bash", "typescriptreact": "tsx"}
"""Pygments' names of languages, if they differ from LSP's."""
BRACKETS = {"(": ")", "[": "]", "{": "}"}
_QUOTE = re.compile("\"\"\"|'''|\"|'|`")
_TAG = re.compile(r"<([A-Za-z][\w.-]*)(?:\s[^<>\n]*)?(?<!/)>[^<>\n]*(</\1>)")


class Unreadable(Exception):
    """The brackets or quotes of a file do not match according to Pygments."""


class Pair(msgspec.Struct, frozen=True):
    """An opener and its closer, as offsets: `open` <= `inner` <= `close` < `end`."""

    open: int
    inner: int
    """After the opener."""
    close: int
    """Before the closer."""
    end: int
    kind: str
    """bracket, quote, interpolation, comment, tag."""


class Syntax(msgspec.Struct, frozen=True, kw_only=True):
    """The syntax of one file."""

    text: str
    pairs: tuple[Pair, ...]
    comments: tuple[tuple[int, int], ...]
    patterns: tuple[tuple[int, int], ...]
    """Regular expressions."""

    def in_comment(self, offset: int) -> bool:
        """Whether a cursor at `offset` is in a comment, or at the end of one that ends with its line."""
        return any(start < offset <= end for start, end in self.comments)

    def enclosing(self, offset: int, since: int) -> list[Pair]:
        """Pairs opened at `since` or later that are open at `offset`, innermost first."""
        return sorted((pair for pair in self.pairs if since <= pair.open and pair.inner <= offset <= pair.close), key=lambda pair: -pair.open)


class _Reader:
    """Reads the tokens of a file in order."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self.open: list[tuple[str, int, int, str]] = []
        """Expected closer, start and end of the opener, kind."""

    def quoted(self, start: int, token: str) -> None:
        """A token of a string: the whole string, a delimiter, or its contents."""
        inside = self.open[-1][0] if self.open and self.open[-1][3] == "quote" else ""
        first = _QUOTE.match(token)
        if inside:
            if token == inside:
                self.close(start, token)
        elif first and token == first[0]:
            self.open.append((first[0], start, start + len(token), "quote"))
        elif first and len(token) >= 2 * len(first[0]) and token.endswith(first[0]):
            size = len(first[0])
            self.pairs.append(Pair(start, start + size, start + len(token) - size, start + len(token), "quote"))

    def brackets(self, start: int, token: str, kind: str) -> None:
        for index, character in enumerate(token, start):
            if character in BRACKETS:
                self.open.append((BRACKETS[character], index, index + 1, kind))
            elif character in BRACKETS.values():
                self.close(index, character)

    def close(self, at: int, closer: str) -> None:
        if not self.open or self.open[-1][0] != closer:
            raise Unreadable
        _, start, inner, kind = self.open.pop()
        self.pairs.append(Pair(start, inner, at, at + len(closer), kind))

    def comment(self, start: int, token: str) -> None:
        """A comment with a closer on its own line is a pair: editors auto-close `/*` and `<!--`."""
        opener, closer = ("/*", "*/") if token.startswith("/*") else ("<!--", "-->")
        if token.startswith(opener) and token.endswith(closer) and "\n" not in token and len(token) > len(opener + closer):
            end = start + len(token)
            space = token[-len(closer) - 1] == " "
            self.pairs.append(Pair(start, start + len(opener), end - len(closer) - space, end, "comment"))


def read(text: str, language: str) -> Syntax:
    """The syntax of a text. Raises Unreadable if a bracket or quote has no partner."""
    reader, comments, patterns = _Reader(), [], []
    for start, kind, token in get_lexer_by_name(LEXERS.get(language, language)).get_tokens_unprocessed(text):
        if kind in Comment:
            comments.append((start, start + len(token.rstrip("\n"))))
            reader.comment(start, token)
        elif kind in String.Regex:
            patterns.append((start, start + len(token)))
        elif _is_text(kind):
            reader.quoted(start, token)
        else:
            reader.brackets(start, token, "interpolation" if kind in String.Interpol else "bracket")
    if reader.open:
        raise Unreadable
    if language in {"html", "javascriptreact", "typescriptreact"}:
        reader.pairs += [Pair(found.start(), found.start(2) - _content(found), found.start(2), found.end(), "tag") for found in _TAG.finditer(text)]
    return Syntax(text=text, pairs=tuple(reader.pairs), comments=_joined(comments), patterns=_joined(patterns))


def _is_text(kind: _TokenType) -> bool:
    return kind in String and kind not in String.Interpol and kind not in String.Affix


def _content(tag: re.Match[str]) -> int:
    """Length of the content between the two tags."""
    return len(tag[0]) - tag[0].index(">") - 1 - len(tag[2])


def _joined(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """The spans with adjacent ones merged."""
    whole: list[tuple[int, int]] = []
    for start, end in spans:
        if whole and whole[-1][1] == start:
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return tuple(whole)
