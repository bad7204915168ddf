"""Places that move while code is written for them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from infill.generation.rebase import rebased

OLD = "one\ntwo\nthree\nfour\n"
PLACE = OLD.index("three"), OLD.index("three") + 5


def test_an_edit_above_moves_the_place() -> None:
    assert rebased(OLD, "zero\n" + OLD, *PLACE) == (PLACE[0] + 5, PLACE[1] + 5)


def test_an_edit_below_leaves_it_alone() -> None:
    assert rebased(OLD, OLD + "five\n", *PLACE) == PLACE


def test_edits_above_and_below_at_once_are_followed() -> None:
    new = "zero\none\ntwo\nthree\nfour and more\n"
    found = rebased(OLD, new, *PLACE)
    assert found is not None
    assert new[slice(*found)] == "three"


def test_an_edit_of_the_place_itself_is_refused() -> None:
    assert rebased(OLD, OLD.replace("three", "thr33"), *PLACE) is None


lines = st.lists(st.text(alphabet="ab \t", max_size=5), min_size=1, max_size=8)


@given(above=lines, below=lines, new_above=lines, new_below=lines)
def test_whatever_happens_elsewhere_the_place_holds_the_same_text(
    above: list[str], below: list[str], new_above: list[str], new_below: list[str]
) -> None:
    old = "\n".join([*above, "THE PLACE", *below])
    new = "\n".join([*new_above, "THE PLACE", *new_below])
    start = old.index("THE PLACE")
    found = rebased(old, new, start, start + 9)
    assert found is not None
    assert new[slice(*found)] == "THE PLACE"
