"""Where an answer's text ends, fed token by token as a model gives it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.ask import Stop
from infill.engine.stopping import TextStream


def told(stop: Stop, *pieces: str | bytes, end: bool = False, below: str = "") -> tuple[str, str | None]:
    """The text that a stream lets out, and why it ended."""
    stream, shown = TextStream(stop, below), ""
    for piece in pieces:
        if stream.why is None:
            shown += stream.feed(piece if isinstance(piece, bytes) else piece.encode())
    if end and stream.why is None:
        shown += stream.finish("end")
    return shown, stream.why


def test_text_without_rules_goes_through_unchanged() -> None:
    assert told(Stop(), "return", " a\n\n", "    b", "\n", "c") == ("return a\n\n    b\nc", None)


def test_a_single_line_ends_before_its_line_break() -> None:
    assert told(Stop(single_line=True), "x = 1", "\ny = 2") == ("x = 1", "line")


def test_a_single_line_may_begin_on_the_next_line() -> None:
    assert told(Stop(single_line=True), "\n", "    x = 1", ")\n", "y") == ("\n    x = 1)", "line")


def test_a_line_break_goes_out_at_once_so_that_the_first_line_is_known_to_be_complete() -> None:
    assert TextStream(Stop(indent=4)).feed(b"x = 1\n    ") == "x = 1\n"


def test_text_ends_where_the_indentation_falls_below_the_block() -> None:
    assert told(Stop(indent=8), "a()\n", "        b()\n", "    ", "c()") == ("a()\n        b()\n", "indent")


def test_blank_lines_inside_the_block_do_not_end_it() -> None:
    assert told(Stop(indent=4), "a()\n\n", "  \n", "    b()") == ("a()\n\n  \n    b()", None)


def test_the_cursors_own_line_has_no_indentation_to_judge() -> None:
    assert told(Stop(indent=8), "a()\n        b()") == ("a()\n        b()", None)


def test_an_answer_that_begins_on_a_new_line_keeps_its_first_line_whatever_its_indentation() -> None:
    assert told(Stop(indent=8), "\n", "    a()") == ("\n    a()", None)


def test_tabs_count_as_wide_as_the_question_says() -> None:
    assert told(Stop(indent=8), "a()\n", "\tb()") == ("a()\n\tb()", None)
    assert told(Stop(indent=8, tab=4), "a()\n", "\tb()") == ("a()\n", "indent")


def test_lines_end_with_a_newline_however_the_model_ends_them() -> None:
    assert told(Stop(indent=4), "a()\r", "\n\r\n    b()\r", "    c()", end=True) == ("a()\n\n    b()\n    c()", "end")


def test_white_space_held_back_belongs_to_the_answer_when_the_model_ends_it() -> None:
    assert told(Stop(indent=4), "a(\n", "    ", end=True) == ("a(\n    ", "end")


def test_white_space_held_back_is_dropped_when_the_answer_is_cut() -> None:
    stream = TextStream(Stop())
    assert stream.feed(b"a\n    ") + stream.finish("length") == "a\n"


@pytest.mark.parametrize("text", ["naïve", "日本語", "🎉👩‍👩‍👧", "e\u0301"])
def test_only_whole_characters_come_out(text: str) -> None:
    stream = TextStream(Stop())
    shown = [stream.feed(bytes([byte])) for byte in text.encode()]
    assert "".join(shown) == text
    assert "\ufffd" not in "".join(shown)


def test_a_character_cut_short_by_the_end_is_left_out() -> None:
    stream = TextStream(Stop())
    assert stream.feed("aé".encode()[:-1]) + stream.finish("length") == "a"


@pytest.mark.parametrize(
    ("pieces", "shown", "why"),
    [
        (("x = 1\n", "    ret", "urn x", "\n", "more"), "x = 1\n", "end"),
        (("x = 1\n\n    return x \nmore",), "x = 1\n", "end"),
        (("x = 1\n    return x", " + 1"), "x = 1\n    return x + 1", None),
        (("x = 1\n    return x ", " + 1\ny"), "x = 1\n    return x  + 1\ny", None),
        (("x = 1\n  return x\ny",), "x = 1\n  return x\ny", None),
        (("    return x\ny",), "    return x\ny", None),
        (("\n    return x\n",), "\n", "end"),
    ],
)
def test_an_answer_that_does_not_see_the_line_below_ends_before_it(pieces: tuple[str, ...], shown: str, why: str | None) -> None:
    assert told(Stop(), *pieces, below="    return x") == (shown, why)


def test_an_answer_that_ends_within_the_line_below_keeps_what_differs() -> None:
    assert told(Stop(), "x\n    ret", end=True, below="    return x") == ("x\n    ret", "end")
    assert told(Stop(), "x\n    return x", end=True, below="    return x") == ("x\n", "end")


@given(st.text("ab \n", max_size=30), st.lists(st.integers(0, 30), max_size=6), st.text("ab ", max_size=4).map(str.rstrip))
def test_pieces_make_no_difference_and_nothing_but_the_end_is_lost(text: str, cuts: list[int], below: str) -> None:
    at = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    shown, why = told(Stop(), *(text[start:end] for start, end in itertools.pairwise(at)), end=True, below=below)
    assert (shown, why) == told(Stop(), text, end=True, below=below)
    assert text.startswith(shown)
    if not below:
        assert shown == text
    else:
        assert below not in [line.rstrip() for line in shown.split("\n")[1:]]
