"""The CPU time of a suggestion in a long file."""

from __future__ import annotations

from infill.bench import edit_cost


def test_every_measured_rename_is_suggested_in_a_text_of_the_wanted_length() -> None:
    found = edit_cost.costs(400)
    assert {cost.kind for cost in found} == {"class", "function", "import", "parameter", "local"}
    assert all(cost.shown == edit_cost.ROUNDS and 0 <= cost.median <= cost.most for cost in found)
    assert all(350 <= cost.lines <= 400 for cost in found)
    assert all(len(edit_cost.cells(cost)) == len(edit_cost.COLUMNS) for cost in found)
