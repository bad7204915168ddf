"""Where an answer's text ends, fed token by token as a model gives it."""

from __future__ import annotations

import pytest

from infill.ask import Stop
from infill.engine.stopping import TextStream


def told(stop: Stop, *pieces: str | bytes, end: bool = False) -> tuple[str, str | None]:
    """The text that a stream lets out, and why it ended."""
    stream, shown = TextStream(stop), ""
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
