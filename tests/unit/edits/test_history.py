"""The history of edits: what it keeps, what it keeps out, and that it can be replayed backwards."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from infill.edits.history import BULK_CHARACTERS, BULK_LINES, MOST_HUNKS, SAVE_SECONDS, History
from infill.edits.hunks import Splice, beginning, merged, size, trimmed

DOCUMENT = "file:///a.py"


class Typist:
    """A text, its history, and a clock."""

    def __init__(self, text: str) -> None:
        self.now = 0.0
        self.history = History(lambda: self.now)
        self.lines = text.split("\n")

    def change(self, *edits: tuple[int, int, list[str]], seconds: float = 2.0) -> None:
        """One event: lines from `first` up to `end` replaced, one edit after the other."""
        self.now += seconds
        splices = []
        for first, end, new in edits:
            splices.append(Splice(first, self.lines[first:end], new))
            self.lines[first:end] = new
        self.history.changed(DOCUMENT, splices)

    @property
    def pairs(self) -> list[tuple[int, list[str], list[str]]]:
        return [(hunk.first, hunk.old, hunk.new) for hunk in self.history.of(DOCUMENT)]

    def beginning(self) -> list[str]:
        return beginning(self.lines, self.history.of(DOCUMENT))


def test_typing_in_one_line_is_one_hunk() -> None:
    typist = Typist("a\nb\nc")
    for text in ("bx", "bxy", "bxyz"):
        typist.change((1, 2, [text]), seconds=0.1)
    assert typist.pairs == [(1, ["b"], ["bxyz"])]


def test_the_place_of_a_hunk_moves_with_edits_above_it() -> None:
    typist = Typist("a\nb\nc\nd")
    typist.change((3, 4, ["D"]))
    typist.change((0, 0, ["new", "lines"]))
    typist.change((3, 4, []))
    assert typist.pairs == [(0, [], ["new", "lines"]), (3, ["b"], []), (4, ["d"], ["D"])]
    assert typist.beginning() == ["a", "b", "c", "d"]


def test_an_undone_hunk_leaves_the_history_and_is_remembered_as_undone() -> None:
    typist = Typist("a\nb\nc")
    typist.change((1, 2, ["changed"]))
    typist.change((1, 2, ["b"]))
    assert typist.pairs == []
    assert typist.history.last is not None
    assert typist.history.last.kind == "undone"
    assert [(one.old, one.new) for one in typist.history.undone] == [(("b",), ("changed",))]


def test_going_back_to_an_earlier_step_is_an_undo_too() -> None:
    typist = Typist("rate")
    typist.change((0, 1, ["tax"]))
    typist.change((0, 1, ["taxes"]))
    typist.change((0, 1, ["tax"]))
    assert typist.history.last is not None
    assert typist.history.last.kind == "undone"
    assert typist.pairs == [(0, ["rate"], ["tax"])]


def test_a_redo_brings_the_hunk_back_and_is_no_typing() -> None:
    typist = Typist("rate")
    typist.change((0, 1, ["tax"]))
    typist.change((0, 1, ["rate"]))
    typist.change((0, 1, ["tax"]))
    assert typist.history.last is not None
    assert typist.history.last.kind == "redone"
    assert typist.pairs == [(0, ["rate"], ["tax"])]
    assert not typist.history.undone


def test_white_space_alone_is_no_edit_but_keeps_its_place() -> None:
    typist = Typist("a\nb\nc")
    typist.change((1, 2, ["    b"]))
    assert typist.history.recent() == []
    typist.change((1, 2, ["    bb"]))
    assert [hunk.new for hunk in typist.history.recent()] == [["    bb"]]
    assert typist.beginning() == ["a", "b", "c"]


def test_a_bulk_change_is_kept_out_and_moves_what_stands_below() -> None:
    typist = Typist("a\nb\nc")
    typist.change((2, 3, ["C"]))
    typist.change((0, 0, [f"line {number}" for number in range(BULK_LINES + 1)]))
    assert typist.pairs == [(BULK_LINES + 3, ["c"], ["C"])]
    typist.change((0, 0, ["x" * (BULK_CHARACTERS + 1)]))
    assert typist.pairs == [(BULK_LINES + 4, ["c"], ["C"])]
    assert typist.history.last is not None
    assert typist.history.last.kind == "kept out"


def test_one_character_in_a_long_line_is_no_bulk_change() -> None:
    typist = Typist("x" * 1000)
    typist.change((0, 1, ["x" * 1001]))
    assert len(typist.pairs) == 1


def test_a_bulk_change_forgets_the_hunks_that_it_touches() -> None:
    typist = Typist("a\nb\nc")
    typist.change((1, 2, ["B"]))
    typist.change((0, 3, ["y" * 300, "B", "z"]))
    assert typist.pairs == []
    assert typist.beginning() == typist.lines


def test_what_an_action_on_save_changes_is_kept_out() -> None:
    typist = Typist("a\nb\nc\nd\ne")
    typist.change((2, 3, ["typed"]))
    typist.change((0, 1, ["sorted"]), (4, 5, ["formatted"]))
    typist.now += SAVE_SECONDS / 2
    typist.history.saved(DOCUMENT)
    assert typist.pairs == [(2, ["c"], ["typed"])]


def test_a_save_long_after_an_edit_in_several_places_keeps_it() -> None:
    typist = Typist("a\nb\nc\nd\ne")
    typist.change((0, 1, ["one"]), (4, 5, ["two"]))
    typist.now += SAVE_SECONDS * 2
    typist.history.saved(DOCUMENT)
    assert len(typist.pairs) == 2


def test_an_accepted_suggestion_is_marked() -> None:
    typist = Typist("a\nb\nc")
    typist.change((1, 2, ["accepted"]))
    typist.history.accepted(DOCUMENT, 1, 2)
    assert [hunk.accepted for hunk in typist.history.of(DOCUMENT)] == [True]


def test_the_history_is_bounded_and_forgets_the_oldest() -> None:
    typist = Typist("\n".join("line" for _ in range(200)))
    for number in range(MOST_HUNKS + 10):
        typist.change((number * 2, number * 2 + 1, [f"edit {number}"]))
    assert len(typist.pairs) == MOST_HUNKS
    assert typist.pairs[0][2] == ["edit 10"]


def test_hunks_closer_than_eight_lines_are_read_as_one() -> None:
    typist = Typist("\n".join(str(number) for number in range(40)))
    for line in (3, 8, 30):
        typist.change((line, line + 1, [f"edit {line}"]))
    assert [(one.first, len(one.new)) for one in merged(typist.lines, typist.history.of(DOCUMENT))] == [(3, 6), (30, 1)]


def test_closing_a_document_ends_its_history() -> None:
    typist = Typist("a")
    typist.change((0, 1, ["b"]))
    typist.history.forget(DOCUMENT)
    assert typist.history.recent() == []


LINE = st.sampled_from(["", "a", "b", "  a", "c = 1", "d(e)"])
EVENT = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.lists(LINE, max_size=3)), min_size=1, max_size=3)


def _edits(lines: list[str], event: Sequence[tuple[int, int, list[str]]]) -> list[tuple[int, int, list[str]]]:
    """Places clamped into a text which has at least one line before and after."""
    edits, count = [], len(lines)
    for at, deleted, new in event:
        first = at % (count + 1)
        end = min(count, first + deleted)
        if count - (end - first) + len(new) == 0:
            continue
        edits.append((first, end, new))
        count += len(new) - (end - first)
    return edits


@given(st.lists(LINE, min_size=1, max_size=12), st.lists(EVENT, max_size=20), st.lists(st.floats(0, 3), min_size=20, max_size=20))
def test_replayed_backwards_the_history_gives_the_text_at_its_beginning(lines: list[str], events: list[list], pauses: list[float]) -> None:
    typist = Typist("\n".join(lines))
    for event, pause in zip(events, pauses, strict=False):
        edits = _edits(typist.lines, event)
        if sum(size(trimmed(Splice(0, ["x"] * (end - first), new)))[1] for first, end, new in edits) > BULK_LINES:
            continue
        typist.change(*edits, seconds=pause)
        hunks = typist.history.of(DOCUMENT)
        assert typist.beginning() == lines
        assert all(one.end <= other.first for one, other in itertools.pairwise(hunks))
        assert all(typist.lines[hunk.first : hunk.end] == hunk.new for hunk in hunks)


@settings(max_examples=60)
@given(
    st.lists(LINE, min_size=1, max_size=12),
    st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.integers(0, 3), st.lists(LINE, max_size=3)), max_size=16),
)
def test_a_change_that_is_kept_out_belongs_to_the_beginning_and_so_do_the_hunks_it_touches(lines: list[str], events: list[tuple]) -> None:
    typist = Typist("\n".join(lines))
    for number, (bulk, *edit) in enumerate(events):
        for first, end, new in _edits(typist.lines, [tuple(edit)]):
            before, hunks = typist.beginning(), typist.pairs
            many = [f"event {number}, line {line}" for line in range(BULK_LINES + 1)]
            typist.change((first, end, many if bulk else new))
            now = typist.history.of(DOCUMENT)
            assert all(typist.lines[hunk.first : hunk.end] == hunk.new for hunk in now)
            if not bulk:
                assert typist.beginning() == before
                continue
            apart = [one for one in hunks if one[0] + len(one[2]) < first or one[0] > end]
            assert [one[1:] for one in apart] == [one[1:] for one in typist.pairs if one[1:] in [two[1:] for two in apart]]
            text = typist.beginning()
            assert text[text.index(many[0]) :][: len(many)] == many
