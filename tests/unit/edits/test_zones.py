"""Where a name stands in a text, and whether that is code, a string or a comment."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.edits.zones import mask, occurrences

PIECES = st.sampled_from(["a", "ab", "é", "_", "$", " ", "\n", '"', "'", "`", "#", "//", "/*", "*/", "\\", "{", "}", '"""', "--", "<!--", "="])
LANGUAGES = ["python", "javascript", "c", "rust", "lua", "sql", "ruby", "haskell", "markdown", "yaml"]


@given(st.lists(PIECES, max_size=40), st.sampled_from(LANGUAGES), st.integers(0, 5))
def test_a_name_is_found_wherever_it_is_a_whole_word_and_nowhere_else(pieces: list[str], language: str, first: int) -> None:
    lines = "".join(pieces).split("\n")
    wanted = [(number, match.start()) for number, line in enumerate(lines) for match in re.finditer(r"(?<![\w$])a(?![\w$])", line)]
    found = occurrences(lines, "a", language, first)
    assert [(place.line, place.column) for place in found] == [place for place in wanted if place[0] >= first]
    assert {place.zone for place in found} <= {"code", "string", "comment"}


@pytest.mark.parametrize(
    ("language", "line", "zones"),
    [
        ("python", 'a = "a" # a', ["code", "string", "comment"]),
        ("python", "f'{a} a' + 'a\\' a'", ["code", "string", "string", "string"]),
        ("python", '"""a "" a""" + a', ["string", "string", "code"]),
        ("javascript", "a / a // a", ["code", "code", "comment"]),
        ("javascript", "`${a} a` + /* a ** a */ a", ["code", "string", "comment", "comment", "code"]),
        ("c", '\'"\' + a - "\\" a"', ["code", "string"]),
        ("rust", "println!(\"{a}\") + 'a' + a", ["code", "string", "code"]),
        ("lua", "a - a -- a", ["code", "code", "comment"]),
        ("markdown", 'a "a" <!-- a - a --> a', ["code", "code", "comment", "comment", "code"]),
        ("yaml", 'a: "a" # a', ["code", "string", "comment"]),
    ],
)
def test_strings_and_comments_are_told_from_code(language: str, line: str, zones: list[str]) -> None:
    assert [place.zone for place in occurrences([line], "a", language)] == zones


def test_a_string_or_comment_over_several_lines_ends_where_it_is_closed() -> None:
    lines = ['x = """', "a", '"""', "a", "'''", "a"]
    assert [(place.line, place.zone) for place in occurrences(lines, "a", "python")] == [(1, "string"), (3, "code"), (5, "string")]
    lines = ["/*", "a", "*/", "a", "/* a"]
    assert [(place.line, place.zone) for place in occurrences(lines, "a", "go")] == [(1, "comment"), (3, "code"), (4, "comment")]


def test_the_mask_matches_comments_and_strings_alone() -> None:
    assert mask("python").sub("", 'a + "b" # c\nd') == "a +  \nd"
    assert mask("go").sub("", "a /* b */ c // d") == "a  c "
