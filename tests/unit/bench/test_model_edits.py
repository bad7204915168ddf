"""Recorded answers of next-edit models: used only for the prompt that they were recorded for, and judged against the scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from infill.bench.model_edits import Recorded, StaleRecording, digest, judge, question_of, read, write
from infill.bench.scenarios import load, parse
from infill.edits.formats import FORMATS, Question
from infill.errors import InfillError

TEXT = """language: python
kind: model
== before
def area(width):
    side = width
    total = side * side
    return total


print(area(2))
== edit
-    side = width
+    side = float(width)
== expect
-    return total
+    return round(total, 2)
"""
SCENARIO = parse(TEXT, "python/rounded")
ANSWERS = [
    ("    side = float(width)\n    total = side * side\n    return round(total, 2)\n\n\nprint(area(2))\n", "end", "exact", ""),
    ("    side = float(width)\n    total = side * side\n    return round(total)\n\n\nprint(area(2))\n", "end", "nearer", ""),
    ("    side = float(width)\n    total = side * side\n    return total\n\n\nprint(area(2))\n", "end", "unchanged", "the model changes nothing"),
    ("    side = width\n    total = side * side\n    return total\n\n\nprint(area(2))\n", "end", "unchanged", "it takes back a recent edit"),
    ("    side = float(width)\n    total = side * side\n    return round(tot", "length", "unchanged", "the answer reached the token limit"),
    ("    side = float(width)\n    total = side * side + 1000 * width\n    return total\n\n\nprint(area(2))\n", "end", "farther", ""),
]
"""Written by hand, in the form in which models answer."""


def _question(name: str = "sweep") -> Question:
    question = question_of(SCENARIO, name)
    assert question is not None
    return question


@pytest.mark.parametrize(("text", "end", "outcome", "reason"), ANSWERS)
def test_a_recorded_answer_is_judged_as_a_user_would_see_it(tmp_path: Path, text: str, end: str, outcome: str, reason: str) -> None:
    question = _question()
    write(tmp_path, SCENARIO, Recorded(digest(question), text, end))
    found = judge(SCENARIO, question, read(tmp_path, SCENARIO, question))
    assert (found.outcome, found.reason) == (outcome, reason)


def test_an_answer_that_was_recorded_for_another_prompt_is_refused(tmp_path: Path) -> None:
    write(tmp_path, SCENARIO, Recorded(digest(_question("sweep-card")), "x"))
    with pytest.raises(StaleRecording, match="has changed"):
        read(tmp_path, SCENARIO, _question())


def test_a_missing_answer_is_told_with_the_way_to_record_it(tmp_path: Path) -> None:
    with pytest.raises(InfillError, match="no recorded answer") as missing:
        read(tmp_path, SCENARIO, _question())
    assert "--live" in missing.value.hint


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_scenario_has_a_prompt_or_is_not_asked_about(name: str) -> None:
    asked = [question for scenario in load() if (question := question_of(scenario, name))]
    assert len(asked) > 40
    assert len({digest(question) for question in asked}) == len(asked)
