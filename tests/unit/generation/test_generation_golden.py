"""Golden cases of generation: tests/golden/generation.toml. Adding one needs no code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from infill.errors import RequestError
from infill.generation import answer, place

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CASES = tomllib.loads((Path(__file__).parents[2] / "golden" / "generation.toml").read_text("utf-8"))["case"]


def _marked(text: str) -> tuple[str, int, int]:
    if "«" in text:
        start, end = text.index("«"), text.index("»") - 1
        return text.replace("«", "").replace("»", ""), start, end
    cursor = text.index("|")
    return text[:cursor] + text[cursor + 1 :], cursor, cursor


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_document_afterwards_is_what_a_person_expects(case: dict[str, Any]) -> None:
    text, start, end = _marked(case["text"])
    where = place.find(text, start, end, case["language"], case.get("instruction", ""), case.get("unit", "    "))
    assert where.instruction == case["wants"]
    before, after = text[: where.start], text[where.end :]
    placed = answer.placed(case["answer"], where, before, after, cut_short=case.get("cut_short", False), from_fim=case.get("by") == "fim")
    if not placed:
        before, after = text, ""
    assert before + placed + after == case["after"]


def test_a_place_with_nothing_to_go_by_is_refused_with_the_next_step() -> None:
    with pytest.raises(RequestError, match="Nothing here says what to write") as refused:
        place.find("x = 1\n", 5, 5, "python", "", "    ")
    assert "Write a comment" in refused.value.hint


def test_a_selection_needs_an_instruction() -> None:
    with pytest.raises(RequestError, match="how the selection should be rewritten"):
        place.find("x = 1\n", 0, 5, "python", "  ", "    ")


def test_an_instruction_of_a_megabyte_is_refused_in_a_sentence() -> None:
    with pytest.raises(RequestError, match="20,000 are the most"):
        place.find("\n", 0, 0, "python", "x" * 1_000_000, "    ")


def test_unfinished_answers_never_show_a_fence_or_a_thought() -> None:
    whole = "<think>hm</think>\nHere is the code:\n```python\nx = 1\ny = 2\n```\nEnjoy!"
    for length in range(len(whole)):
        assert "```" not in answer.code_of(whole[:length])
        assert "hm" not in answer.code_of(whole[:length])
    assert answer.code_of(whole) == "x = 1\ny = 2"
