"""Prompts of next-edit models byte for byte, and what is read from their answers. Prompts are in tests/golden/next_edit_prompts.toml."""

from __future__ import annotations

import sys
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest

from infill.ask import Snippet
from infill.edits import model
from infill.edits.formats import FORMATS, Material, Question
from infill.edits.formats.base import MOST_LINES_MORE, piece_of
from infill.edits.formats.zeta21 import blocks
from infill.edits.history import History
from infill.edits.hunks import Splice
from infill.edits.types import Situation

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CASES = tomllib.loads((Path(__file__).parents[2] / "golden" / "next_edit_prompts.toml").read_text("utf-8"))["case"]


def situation(before: str, text: str, language: str = "python") -> Situation:
    """A document that was `before`, and is `text`; `|` marks the cursor."""
    head = text[: text.index("|")]
    lines = text.replace("|", "", 1).split("\n")
    history = History(lambda: 0.0)
    old = before.split("\n")
    for tag, start, end, begin, until in reversed(SequenceMatcher(None, old, lines, autojunk=False).get_opcodes()):
        if tag != "equal":
            history.changed("d", [Splice(start, old[start:end], lines[begin:until])])
    line = head.count("\n")
    return Situation(document="d", language=language, lines=lines, hunks=history.of("d"), cursor=(line, len(head) - head.rfind("\n") - 1))


def material(case: dict[str, Any]) -> Material:
    related = tuple(Snippet(one["path"], one["text"]) for one in case.get("related", ()))
    made = model.material(situation(case["before"], case["text"]), case["path"])
    return Material(
        path=made.path,
        opened=made.opened,
        lines=made.lines,
        cursor=made.cursor,
        recent=made.recent,
        related=related,
        file_lines=case.get("file_lines", 800),
    )


def asked(name: str, before: str, text: str) -> Question:
    found = FORMATS[name].ask(model.material(situation(before, text), "a.py"))
    assert found is not None
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_prompt_is_what_the_model_was_trained_on(case: dict[str, Any]) -> None:
    question = FORMATS[case["format"]].ask(material(case))
    assert question is not None
    assert question.text == case["prompt"]


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"instruct"}))
def test_names_of_control_tokens_in_the_users_text_stay_text(name: str) -> None:
    controls = "".join(FORMATS[name].controls)
    question = asked(name, f"x = 1\nprint('{controls}')\n", f"y = 1|\nprint('{controls}')\n")
    assert {piece.control for piece in question.pieces} <= {*FORMATS[name].controls, "", "<filename>"}
    assert any(controls in piece.text for piece in question.pieces)


@pytest.mark.parametrize(
    ("name", "mark"), [("sweep", "<|cursor|>"), ("zeta2", "<|user_cursor|>"), ("zeta2", "<<<<<<< CURRENT"), ("zeta2.1", "<|marker_1|>")]
)
def test_a_document_with_the_marks_of_a_format_is_not_asked_about(name: str, mark: str) -> None:
    assert FORMATS[name].ask(model.material(situation("a\n", f"b|\n{mark}\n"), "a.py")) is None


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_an_empty_document_gets_a_prompt_or_none(name: str) -> None:
    question = FORMATS[name].ask(model.material(situation("a", "|"), "a.py"))
    assert question is None or question.text


@pytest.mark.parametrize(
    ("name", "answer", "expected"),
    [
        ("sweep", "def f(b):\n    return b\n", ["def f(b):", "    return b"]),
        ("sweep", "def f(b):\n    return b<|cursor|>", ["def f(b):", "    return b"]),
        ("sweep", "def f(b):\n    return b\n No newline at end of file", ["def f(b):", "    return b"]),
        ("zeta2", "def f(b):\n    return b\n>>>>>>> UPDATED\n", ["def f(b):", "    return b"]),
        ("zeta2", "NO_EDITS\n>>>>>>> UPDATED", ["def f(b):", "    return a"]),
        ("zeta2.1", "<|marker_1|>def f(b):\n    return b\n<|marker_2|><[end\u2581of\u2581sentence]>", ["def f(b):", "    return b"]),
        ("zeta2.1", "<|marker_1|><|marker_1|>", ["def f(b):", "    return a"]),
        ("instruct", "```python\ndef f(b):\n    return b\n```", ["def f(b):", "    return b"]),
        ("instruct", "NO CHANGE", ["def f(b):", "    return a"]),
        ("instruct", "No change.", ["def f(b):", "    return a"]),
    ],
)
def test_an_answer_is_read(name: str, answer: str, expected: list[str]) -> None:
    question = asked(name, "def f(a):\n    return a", "def f(b):|\n    return a")
    if question.prefill:
        answer = answer.split("\n", 1)[1]
    read = FORMATS[name].read(question, answer)
    assert read is not None and list(read.lines) == expected


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("sweep", "<|fim_prefix|>x"),
        ("zeta2.1", "x = 1"),
        ("zeta2.1", "<|marker_1|>x"),
        ("zeta2.1", "<|marker_7|>x<|marker_9|>"),
        ("instruct", "Sure!"),
    ],
)
def test_what_is_no_answer_in_a_format_is_refused(name: str, answer: str) -> None:
    assert FORMATS[name].read(asked(name, "a\nb", "c|\nb"), answer) is None


def test_a_model_says_where_the_cursor_goes() -> None:
    question = asked("zeta2", "a\nb", "c|\nb")
    read = FORMATS["zeta2"].read(question, "c\nb + <|user_cursor|>d\n")
    assert read is not None and read.lines == ("c", "b + d") and read.cursor == (1, 4)


def test_only_the_blocks_between_two_marks_are_rewritten() -> None:
    text = "\n".join(f"line{number} = {number}" for number in range(40))
    question = asked("zeta2.1", text, text.replace("line20", "line|20", 1).replace("= 3\n", "= 4\n", 1))
    borders = blocks(question.old)
    assert len(borders) > 2
    read = FORMATS["zeta2.1"].read(question, "<|marker_2|>new\n<|marker_3|>")
    assert read is not None
    assert list(read.lines) == [*question.old[: borders[1]], "new", *question.old[borders[2] :]]


@pytest.mark.parametrize("line", range(0, 2000, 37))
def test_the_part_of_a_long_document_holds_the_cursor_and_moves_seldom(line: int) -> None:
    first, end = piece_of(2000, line, 300)
    assert first <= line < end and end - first <= 300 and first % 150 == 0


def test_an_answer_that_runs_away_is_stopped() -> None:
    growing = model.Growing(asked("sweep", "a\nb", "c|\nb"))
    assert any(growing.add(f"x{number}\n") for number in range(MOST_LINES_MORE + 10))
