"""Where an answer ends on our side, however it is cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infill.ask import Stop
from infill.providers.cut import Cutter

CASES = [
    pytest.param(Stop(), (), "a\nb\n", "a\nb\n", "end", id="all of it"),
    pytest.param(Stop(single_line=True), (), "a + b\nmore", "a + b", "line", id="the line"),
    pytest.param(Stop(single_line=True), (), "\n  a\nmore", "\n  a", "line", id="the first line with something on it"),
    pytest.param(Stop(indent=4), (), "x = 1\n    y = 2\n\nz = 3", "x = 1\n    y = 2", "indent", id="the block"),
    pytest.param(Stop(indent=4), (), "x\n\n\n    y", "x\n\n\n    y", "end", id="blank lines inside the block"),
    pytest.param(Stop(indent=8), (), "x\n\ty\n    z", "x\n\ty", "indent", id="tabs are eight columns"),
    pytest.param(Stop(indent=4, tab=2), (), "x\n\ty\n    z", "x", "indent", id="tabs are as wide as the question says"),
    pytest.param(Stop(indent=4, whole_lines=True), (), "if a:\n    b\nc", "if a:\n    b\nc", "end", id="an answer whose indentation was stripped"),
    pytest.param(Stop(indent=4, whole_lines=True), (), "    a\nc", "    a", "indent", id="an answer that has its indentation"),
    pytest.param(Stop(indent=4), (), "\nx\n    y\nz", "\nx\n    y", "indent", id="the first line with something on it is not judged"),
    pytest.param(Stop(indent=4), (), "x\r\n\r\n    y\r\nz", "x\n\n    y", "indent", id="a blank line that ends with CR LF"),
    pytest.param(Stop(single_line=True), (), "a + b\r\nmore", "a + b", "line", id="a line that ends with CR LF"),
    pytest.param(Stop(single_line=True), (), "\ufeff\n  a\nmore", "\n  a", "line", id="a byte order mark is not on the line"),
    pytest.param(Stop(), (), "a\rb\r", "a\nb\n", "end", id="a line end that is a CR alone"),
    pytest.param(Stop(), ("<|end|>",), "a<|end|>b", "a", "end", id="a stop word"),
    pytest.param(Stop(), ("<|end|>",), "a<|en", "a<|en", "end", id="what only began like a stop word"),
    pytest.param(Stop(max_tokens=1), (), "x" * 40, "x" * 16, "length", id="a server that ignores the limit"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(("stop", "words", "said", "expected", "why"), CASES)
def test_an_answer_ends_in_the_same_place_however_it_arrives(
    stop: Stop, words: tuple[str, ...], said: str, expected: str, why: str, size: int
) -> None:
    cutter = Cutter(stop, words)
    given = "".join(cutter.feed(said[at : at + size]) for at in range(0, len(said), size)) + cutter.end()
    assert (given, cutter.why) == (expected, why)


@given(st.lists(st.text("ab \r\n\t<|>", max_size=6), max_size=12), st.booleans(), st.sampled_from([None, 0, 4]))
@example([" ", "\n", "<"], False, 4)
@example(["a\r", "\n\r", "\n", "<"], False, 4)
def test_pieces_make_no_difference(pieces: list[str], single: bool, indent: int | None) -> None:
    stop = Stop(single_line=single, indent=indent)
    whole, cut = Cutter(stop, ("<|>",)), Cutter(stop, ("<|>",))
    assert "".join(map(cut.feed, pieces)) + cut.end() == whole.feed("".join(pieces)) + whole.end()
