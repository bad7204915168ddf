"""A document stays what the editor says it is, whatever is edited where; and its cost is bounded."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infill.lsp import convert, text
from infill.lsp.convert import Encoding
from infill.lsp.text import Text

CODECS: dict[Encoding, tuple[str, int]] = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
sources = st.text(st.sampled_from("ab \t\r\n\n\x0c\u2028é\u0301漢😋🇩"), max_size=60)
positions = st.tuples(st.integers(0, 12), st.integers(0, 12))


def offset(source: str, line: int, units: int, encoding: Encoding) -> int:
    """The same thing, said slowly: where in `source` a position is, in code units."""
    codec, width = CODECS[encoding]
    starts = [0] + [match.end() for match in re.finditer("\r\n|\r|\n", source)]
    if line >= len(starts):
        return len(source.encode(codec, "surrogatepass")) // width
    body = re.split("[\r\n]", source[starts[line] :], maxsplit=1)[0]
    before = len(source[: starts[line]].encode(codec, "surrogatepass")) // width
    wide = body.encode(codec, "surrogatepass")
    units = min(units, len(wide) // width)
    while encoding == "utf-8" and units < len(wide) and wide[units] & 0xC0 == 0x80:
        units -= 1
    return before + units


def slow_replace(source: str, start: tuple[int, int], end: tuple[int, int], new: str, encoding: Encoding) -> str:
    codec, width = CODECS[encoding]
    encoded = source.encode(codec, "surrogatepass")
    first, last = (width * offset(source, *position, encoding) for position in (start, max(start, end)))
    return (encoded[:first] + new.encode(codec, "surrogatepass") + encoded[last:]).decode(codec, "surrogatepass")


@pytest.mark.parametrize("encoding", list(CODECS))
@given(source=sources, edits=st.lists(st.tuples(positions, positions, sources), max_size=5))
@example(source="a\rb", edits=[((1, 0), (1, 0), "\n")])
@example(source="a\rx\nb", edits=[((1, 0), (1, 1), "")])
@example(source="😋", edits=[((0, 1), (0, 1), "x"), ((0, 1), (0, 2), "")])
def test_edits_give_exactly_the_text_that_the_editor_has(
    encoding: Encoding, source: str, edits: list[tuple[tuple[int, int], tuple[int, int], str]]
) -> None:
    document, expected = Text(source, encoding), source
    for start, end, new in edits:
        document.replace(start, end, new)
        expected = slow_replace(expected, start, end, new, encoding)
        assert str(document) == expected
        assert document.lines == text.split(expected)


@given(sources)
def test_lines_end_where_editors_end_them_and_nowhere_else(source: str) -> None:
    lines = text.split(source)
    assert "".join(lines) == source
    assert len(lines) == len(re.findall("\r\n|\r|\n", source)) + 1


@given(source=sources, position=positions)
def test_before_and_after_a_position_is_the_whole_document(source: str, position: tuple[int, int]) -> None:
    document = Text(source)
    line, index = document.locate(*position)
    assert document.before(line, index) + document.after(line, index) == convert.readable(source)


def test_an_edit_tells_where_it_ended() -> None:
    document = Text("one\r\ntwo\r\n")
    assert document.replace((1, 0), (1, 3), "a\nbc") == (2, 2)
    assert str(document) == "one\r\na\nbc\r\n"


def test_a_range_that_ends_before_it_starts_only_inserts() -> None:
    document = Text("abc")
    document.replace((0, 2), (0, 1), "X")
    assert str(document) == "abXc"


def test_a_position_outside_the_document_is_its_end() -> None:
    assert Text("ab\ncd").locate(9, 9) == (1, 2)
    assert Text("ab\ncd").locate(0, 99) == (0, 2)
    assert Text("ab\ncd").locate(-1, 5) == (0, 0)


def test_what_is_read_of_a_huge_document_is_bounded() -> None:
    document = Text("x = 1\n" * 200_000)
    assert len(document.before(150_000, 5)) <= text.PREFIX_CHARACTERS
    assert len(document.after(150_000, 5)) <= text.SUFFIX_CHARACTERS
    assert len(document.around(150_000, 4000)) <= 4000


def test_what_is_read_of_a_huge_line_is_bounded() -> None:
    document = Text("é" * 300_000)
    assert 0 < len(document.before(0, 200_000)) <= text.PREFIX_CHARACTERS
    assert 0 < len(document.after(0, 200_000)) <= text.SUFFIX_CHARACTERS


def test_the_far_end_of_the_prefix_stands_still_while_somebody_types() -> None:
    document = Text("x = 1\n" * 200_000)
    starts = set()
    for typed in range(40):
        document.replace((150_000 + typed, 5), (150_000 + typed, 5), "7\n")
        starts.add(len("".join(document.lines[: 150_000 + typed + 1])) + 1 - len(document.before(150_000 + typed + 1, 1)))
    assert len(starts) <= 2
