"""Positions are exact in every encoding, whatever the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.lsp import convert
from infill.lsp.convert import Encoding

ENCODINGS: list[Encoding] = ["utf-8", "utf-16", "utf-32"]
CODECS = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
CHARACTERS = st.sampled_from("ab ()\t\x0b\x0c\x85\u2028é\u0301ñ漢\ufeff😋👩🏽\u200d💻🇩🇪\x00")
lines = st.text(CHARACTERS, max_size=40)


def units_of(text: str, encoding: Encoding) -> int:
    codec, width = CODECS[encoding]
    return len(text.encode(codec)) // width


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(line=lines, index=st.integers(0, 40))
def test_a_position_survives_the_way_there_and_back(encoding: Encoding, line: str, index: int) -> None:
    index = min(index, len(line))
    units = convert.to_units(line, index, encoding)
    assert units == units_of(line[:index], encoding)
    assert convert.to_index(line, units, encoding) == index


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(line=lines, units=st.integers(-3, 200))
def test_any_number_is_a_place_in_the_line_and_never_beyond_what_was_asked(encoding: Encoding, line: str, units: int) -> None:
    index = convert.to_index(line, units, encoding)
    assert 0 <= index <= len(line)
    assert units_of(line[:index], encoding) <= max(0, units)
    if index < len(line):
        assert units_of(line[: index + 1], encoding) > units


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(line=lines, units=st.integers(0, 200))
def test_cutting_a_line_loses_nothing(encoding: Encoding, line: str, units: int) -> None:
    left, right = convert.cut(line, units, encoding)
    assert convert.joined(left + right) == line


@pytest.mark.parametrize(
    ("encoding", "units", "index"),
    [("utf-8", 7, 4), ("utf-16", 5, 4), ("utf-32", 4, 4), ("utf-16", 4, 3), ("utf-8", 5, 3), ("utf-8", 6, 3)],
)
def test_the_quote_after_an_emoji_is_where_the_editor_says(encoding: Encoding, units: int, index: int) -> None:
    assert convert.to_index('x="😋"', units, encoding) == index


def test_halves_of_an_emoji_become_one_when_they_meet() -> None:
    assert convert.joined("a\ud83d" + "\ude0bb") == "a😋b"


def test_a_model_never_sees_half_an_emoji_or_a_carriage_return() -> None:
    assert convert.readable("a\ud83d\r\nb\rc") == "a\ufffd\nb\nc"


@given(st.text(st.sampled_from("ab\n"), max_size=20), st.integers(0, 9), st.integers(0, 9))
def test_advancing_over_a_text_ends_where_the_text_ends(text: str, line: int, index: int) -> None:
    before = "\n" * line + "x" * index
    after = before + text
    assert convert.advance(line, index, text) == (after.count("\n"), len(after) - after.rfind("\n") - 1)
