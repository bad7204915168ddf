"""Single edits of a rewritten region, and stopping an answer that has rejoined the old text."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infill.edits.rewrite import FUSED_LINES, changes, rejoined
from infill.edits.suggest import applied
from infill.edits.types import Change

OLD = [
    "def total(items, tax):",
    "    s = 0",
    "    for it in items:",
    "        s += it.price",
    "    return s * (1 + rate)",
    "",
    "def label(items): ...",
]
LINES = st.lists(st.sampled_from(["a", "b", "  c", "}", ""]), max_size=12)


def test_changes_far_apart_are_edits_of_their_own_from_the_cursor_downward() -> None:
    found = changes(OLD, ["def total(items, fee):", *OLD[1:6], "def label(things): ..."], 10, 16)
    assert [change.first for change in found] == [16, 10]


def test_changes_close_together_are_one_edit() -> None:
    new = ["async def total(items, tax):", *OLD[1 : 1 + FUSED_LINES], "        s += await it.price", *OLD[4:]]
    assert len(changes(OLD, new, 0, 0)) == 1


def test_an_answer_that_goes_on_as_the_old_text_does_is_complete() -> None:
    assert rejoined(OLD, ["def total(items, tax, fee):", "    s = 0", "    for it in items:"]) == ["def total(items, tax, fee):", *OLD[1:]]


def test_an_answer_without_a_change_so_far_goes_on() -> None:
    assert rejoined(OLD, OLD[:5]) is None


def test_closing_brackets_do_not_tell_where_an_answer_stands() -> None:
    old = ["a {", "  b", "}", "}", "c {", "  d", "}", "}"]
    assert rejoined(old, ["a {", "  x", "}", "}"]) is None


def test_lines_that_stand_twice_do_not_tell_where_an_answer_stands() -> None:
    assert rejoined(["a", "b", "c", "x", "b", "c"], ["z", "b", "c"]) is None


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(LINES, LINES, st.integers(0, 12))
def test_all_edits_together_make_the_rewritten_region(old: list[str], new: list[str], cursor: int) -> None:
    found = changes(old, new, 0, cursor)
    assert applied(old, sorted(found, key=lambda change: change.first)) == new
    assert len({change.first for change in found}) == len(found)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(LINES, LINES)
def test_a_rejoined_region_begins_with_the_answer_and_ends_with_the_old_text(old: list[str], new: list[str]) -> None:
    whole = rejoined(old, new)
    if whole is not None:
        assert whole[: len(new)] == new
        rest = whole[len(new) :]
        assert old[len(old) - len(rest) :] == rest
        assert changes(old, whole, 0, 0) != [Change(0, 0, ())]
