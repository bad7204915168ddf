"""What the index knows of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tree_sitter", reason="the builder of the index needs tree-sitter")

from infill.index import grammars, identifiers
from infill.index.outline import LONGEST_CHUNK, outline

CASES = tomli.loads((Path(__file__).parents[2] / "golden" / "outlines.toml").read_text("utf-8"))["case"]
LANGUAGES = sorted({*grammars.ENDINGS})


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_symbols_have_names_kinds_signatures_and_documentation(case: dict[str, Any]) -> None:
    found = outline(case["text"].lstrip("\n"), case["language"]).symbols
    assert [[f"{one.parent}.{one.name}".lstrip("."), one.kind, one.signature, one.doc] for one in found] == case["symbols"]


@pytest.mark.parametrize("language", sorted(grammars.GRAMMARS))
def test_every_grammar_is_installed_and_knows_the_nodes_that_are_named(language: str) -> None:
    parser = grammars.parser(language)
    assert parser is not None
    grammar, known = grammars.GRAMMARS[language], parser.language
    named = {known.node_kind_for_id(number) for number in range(known.node_kind_count)}
    shared = {"javascript": "typescript", "c": "cpp"}
    if language not in shared:
        missing = {*grammar.symbols, *grammar.containers} - named
        assert not missing - {"concept_definition"}


@pytest.mark.parametrize("language", LANGUAGES)
@settings(deadline=None)
@given(text=st.text(alphabet=st.sampled_from("ab{}()[]<>\"'`#/*-\n \t:;=.,@é\0def class fn func")))
def test_any_text_has_an_outline_and_chunks_that_lie_in_it(language: str, text: str) -> None:
    found, lines = outline(text, language), text.count("\n") + 1
    assert all(0 <= chunk.start < chunk.end <= lines and chunk.end - chunk.start <= 2 * LONGEST_CHUNK for chunk in found.chunks)
    assert all(0 <= symbol.line < symbol.end <= lines + 1 and symbol.name for symbol in found.symbols)
    assert [chunk.start for chunk in found.chunks] == sorted({chunk.start for chunk in found.chunks})


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "def f():\n    return 'hiddenword'  # hiddenword\n"),
        ("typescript", "const a = `hiddenword ${b}`; // hiddenword\n"),
        ("go", 'package a\nvar a = "hiddenword" // hiddenword\n'),
        ("rust", 'fn f() { let a = "hiddenword"; /* hiddenword */ }\n'),
        ("java", 'class A { String a = "hiddenword"; }\n'),
        ("c", 'char *a = "hiddenword"; // hiddenword\n'),
        ("lua", "local a = 'hiddenword' -- hiddenword\n"),
    ],
)
def test_what_strings_and_comments_say_is_not_searched(language: str, text: str) -> None:
    chunks = outline(text, language).chunks
    assert not [chunk for chunk in chunks if "hiddenword" in chunk.words]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("parseHTTPHeader", ["header", "http", "parse", "parsehttpheader"]),
        ("max_file_kilobytes", ["file", "kilobytes", "max", "maxfilekilobytes"]),
        ("__init__", ["init"]),
        ("return", []),
        ("Utf8Decoder", ["decoder", "utf", "utf8decoder"]),
        ("x" * 41, []),
    ],
)
def test_names_are_split_at_case_and_underscores(name: str, words: list[str]) -> None:
    assert identifiers.words([name]) == words


@settings(deadline=None)
@given(st.lists(st.text()))
def test_words_of_any_names_are_plain_and_bounded(names: list[str]) -> None:
    found = identifiers.words(names)
    assert all(word.isascii() and word.isalnum() and word == word.lower() and len(word) <= identifiers.LONGEST for word in found)
