"""From a file's text to its symbols and chunks. Pure; only the builder runs it.

Symbols are definitions that other files can use: functions, classes, methods, types, constants. A signature ends before the body, but short types are
kept whole, because their fields are used. Chunks are pieces of code, split at definitions; only the words of their names are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from infill.index import grammars, identifiers
from infill.index.grammars import Grammar

if TYPE_CHECKING:
    from tree_sitter import Node

SIGNATURE, DOC = 400, 240
"""Maximum length in characters of a signature and of a docstring."""
MOST_SYMBOLS, MOST_CHUNKS = 2_000, 500
"""Limits per file, because generated files have more."""
DEEPEST = 8
"""Maximum nesting depth of containers that are searched."""
CHUNK_LINES, LONGEST_CHUNK = 24, 48
"""Lines: short definitions are joined up to the first, and definitions longer than the second are split."""
_DECORATED = frozenset({"decorated_definition", "export_statement", "template_declaration", "ambient_declaration", "lexical_declaration"})
"""Nodes around a definition that belong to its signature."""
_BLANKS = re.compile(r"[ \t]+\n")
_COMMENT_MARKS = re.compile(r"^\s*(?:///?!?|/\*+!?|\*+/?|#+|--+\[*)[ \t]?|\s*\*+/\s*$")


class Symbol(msgspec.Struct, frozen=True, kw_only=True):
    """A definition that other files can use."""

    name: str
    kind: str
    parent: str = ""
    """The class or type that it belongs to."""
    signature: str
    doc: str = ""
    """The first paragraph of its documentation, without comment marks."""
    line: int
    """Its first line, counted from 0."""
    end: int
    """The line after its last one."""


class Chunk(msgspec.Struct, frozen=True):
    """Lines `start` to `end` (exclusive), and the words of their names."""

    start: int
    end: int
    words: str


class Outline(msgspec.Struct, frozen=True):
    """The content of the index for one file."""

    symbols: list[Symbol]
    chunks: list[Chunk]


def outline(text: str, language: str) -> Outline:
    """The outline of a file; only chunks if its language has no grammar."""
    parser = grammars.parser(language)
    if parser is None:
        return Outline([], _chunks(text, _paragraphs(text)))
    grammar = grammars.GRAMMARS[language]
    source = text.encode("utf-8", "replace")
    root = parser.parse(source).root_node
    symbols = [symbol for _, symbol in zip(range(MOST_SYMBOLS), _symbols(root, source, grammar, "", 0), strict=False)]
    return Outline(symbols, _chunks(_code(root, source, language), [symbol.line for symbol in symbols]))


def _symbols(node: Node, source: bytes, grammar: Grammar, parent: str, depth: int) -> Iterator[Symbol]:
    for child in node.named_children:
        kind = grammar.symbols.get(child.type, "")
        name, owner = _named(child, kind, source) if kind else ("", "")
        inside = owner or parent
        if name and kind != "module":
            kind = "function" if kind == "declared" else kind
            yield _symbol(child, source, "method" if kind == "function" and inside else kind, name, inside)
        if depth < DEEPEST and (child.type in grammar.containers or kind in {"class", "module"}):
            body = child.child_by_field_name("body") if kind in {"class", "module"} else child
            yield from _symbols(body or child, source, grammar, name if kind == "class" or child.type == "impl_item" else parent, depth + 1)


def _symbol(node: Node, source: bytes, kind: str, name: str, parent: str) -> Symbol:
    outer = node
    while outer.parent is not None and outer.parent.type in _DECORATED:
        outer = outer.parent
    return Symbol(
        name=name,
        kind=kind,
        parent=parent,
        signature=_signature(node, outer, source, kind),
        doc=_documentation(node, outer, source),
        line=outer.start_point[0],
        end=outer.end_point[0] + 1,
    )


def _named(node: Node, kind: str, source: bytes) -> tuple[str, str]:
    """The name that a node defines, and the type that it names as its owner; empty if none."""
    if node.type == "impl_item":
        return _last_name(node.child_by_field_name("type"), source), ""
    if node.type == "assignment_statement":
        return _lua_assigned(node, source)
    named = node.child_by_field_name("name") or node.child_by_field_name("left")
    if named is None:
        named = _declared(node, kind)
    if node.type == "assignment" and (
        named is None or named.type != "identifier" or node.parent is None or node.parent.type != "expression_statement"
    ):
        return "", ""
    if node.type.endswith("_specifier") and node.child_by_field_name("body") is None:
        return "", ""
    owner = _receiver(node, source)
    text = _text(named, source) if named is not None else ""
    parts = [part for part in re.split(r"[.:]+", text) if identifiers.NAME.fullmatch(part)]
    return (parts[-1], owner or (parts[-2] if len(parts) > 1 else "")) if parts else ("", "")


def _declared(node: Node, kind: str) -> Node | None:
    """The innermost name of C's declarators; None for declarations other than of functions."""
    inner, called = node.child_by_field_name("declarator"), False
    while inner is not None and (below := inner.child_by_field_name("declarator")) is not None:
        called = called or inner.type == "function_declarator"
        inner = below
    if kind in {"declared", "function"} and not called:
        return None
    return inner


def _receiver(node: Node, source: bytes) -> str:
    receiver = node.child_by_field_name("receiver")  # of a method in Go
    return _last_name(receiver, source) if receiver is not None else ""


def _lua_assigned(node: Node, source: bytes) -> tuple[str, str]:
    """Name and owner of a Lua assignment of a function (`M.name = function`); empty for others, such as `local M = {}`."""
    target = node.named_children[0] if node.named_children else None
    if target is None or not any(child.type == "function_definition" for value in node.named_children[1:] for child in value.named_children):
        return "", ""
    parts = re.split(r"[.:]", _text(target, source))
    return (parts[-1], parts[-2] if len(parts) > 1 else "") if identifiers.NAME.fullmatch(parts[-1]) else ("", "")


def _last_name(node: Node | None, source: bytes) -> str:
    if node is None:
        return ""
    text = _text(node, source).partition("<")[0]
    found = identifiers.NAME.findall(text.partition("[")[0])
    return found[-1] if found else ""


def _signature(node: Node, outer: Node, source: bytes, kind: str) -> str:
    """The text up to the body, with decorators; short types and constants whole."""
    function = _function_value(node)
    body = function or node.child_by_field_name("body")
    whole = kind in {"type", "value"} and function is None
    end = outer.end_byte if whole or body is None else body.start_byte
    text = source[outer.start_byte : min(end, outer.start_byte + 4 * SIGNATURE)].decode("utf-8", "replace")
    text = _BLANKS.sub("\n", _dedented(text, _indentation(source, outer.start_byte))).rstrip(" \n\t{")
    if (whole or body is None) and "{" in text:
        text += "\n}" * (outer.end_byte - outer.start_byte <= SIGNATURE and text.count("{") > text.count("}"))
    return text if len(text) <= SIGNATURE else text[:SIGNATURE].rpartition("\n")[0] or text[:SIGNATURE]


def _function_value(node: Node) -> Node | None:
    """The body of the function that is the value of a constant."""
    value: Any = node.child_by_field_name("value")
    if value is None and node.type == "assignment_statement":
        value = next((child for part in node.named_children[1:] for child in part.named_children if child.type == "function_definition"), None)
    return value.child_by_field_name("body") if value is not None else None


def _indentation(source: bytes, at: int) -> int:
    """Length of the white space at the start of the line that contains `at`."""
    line = source[source.rfind(b"\n", 0, at) + 1 : at]
    return len(line) - len(line.lstrip())


def _dedented(text: str, column: int) -> str:
    first, *others = text.split("\n")
    return "\n".join([first, *(line[min(column, len(line) - len(line.lstrip())) :] for line in others)])


def _documentation(node: Node, outer: Node, source: bytes) -> str:
    """The first paragraph of the docstring, else of the comment directly above."""
    body = node.child_by_field_name("body")
    first = body.named_children[0] if body is not None and body.named_children else None
    if first is not None and first.type == "expression_statement" and first.named_children and first.named_children[0].type == "string":
        return _paragraph(_text(first.named_children[0], source).lstrip("rRuUbB").strip("\"'"))
    lines: list[str] = []
    below, above = outer, outer.prev_sibling
    while above is not None and "comment" in above.type and above.end_point[0] + (above.end_point[1] > 0) == below.start_point[0]:
        lines[:0] = _text(above, source).rstrip("\n").split("\n")
        below, above = above, above.prev_sibling
    return _paragraph("\n".join(_COMMENT_MARKS.sub("", line) for line in lines))


def _paragraph(text: str) -> str:
    """The first paragraph as one line."""
    return " ".join(text.strip().partition("\n\n")[0].split())[:DOC]


def _text(node: Node, source: bytes) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


# ---- chunks


def _code(root: Node, source: bytes, language: str) -> str:
    """The text with strings and comments blanked: they contain no names, and may contain secrets."""
    from tree_sitter import Query, QueryCursor

    kept = bytearray(source)
    found = QueryCursor(_query(Query, language)).captures(root)
    for node in found.get("hidden", []):
        hidden = kept[node.start_byte : node.end_byte]
        kept[node.start_byte : node.end_byte] = bytes(10 if byte == 10 else 32 for byte in hidden)
    return kept.decode("utf-8", "replace")


_queries: dict[str, Any] = {}


def _query(kind: Any, language: str) -> Any:
    if language not in _queries:
        parser = grammars.parser(language)
        _queries[language] = kind(parser.language if parser else None, grammars.GRAMMARS[language].hidden)
    return _queries[language]


def _paragraphs(text: str) -> list[int]:
    """Numbers of the lines that follow a blank line."""
    lines = text.split("\n")
    return [number for number in range(1, len(lines)) if lines[number].strip() and not lines[number - 1].strip()]


def _chunks(code: str, boundaries: list[int]) -> list[Chunk]:
    """Chunks that start at `boundaries`; short ones are joined, long ones split."""
    lines = code.split("\n")
    starts = [0]
    for boundary in [*sorted(set(boundaries)), len(lines)]:
        while boundary - starts[-1] > LONGEST_CHUNK:
            starts.append(starts[-1] + LONGEST_CHUNK)
        if boundary - starts[-1] >= CHUNK_LINES:
            starts.append(boundary)
    ends = [*starts[1:], len(lines)]
    pieces = [(start, end) for start, end in zip(starts, ends, strict=True) if end > start][:MOST_CHUNKS]
    found = [Chunk(start, end, " ".join(identifiers.words(identifiers.names("\n".join(lines[start:end]))))) for start, end in pieces]
    return [chunk for chunk in found if chunk.words]
