"""Answers of chat models: which code is in them, whole and while they arrive in pieces. The cases are in tests/golden/answers*.toml."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.answers.blocks import parts
from infill.answers.code import code_of, is_reasoning
from infill.answers.prose import is_prose
from infill.answers.reasoning import Joined
from infill.answers.stream import Completion

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GOLDEN = Path(__file__).parents[2] / "golden"
WHOLE, AT_CURSOR = (tomllib.loads((GOLDEN / f"{name}.toml").read_text("utf-8"))["case"] for name in ("answers", "answers_completion"))
PIECES = ("<think>", "</think>", "\n", "```", "```python\n", "~~~", "x = 1", "The code is here.", '"""', "/*", " ", "<", "<|", "|>", "<CURSOR>", "`")
SAID = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map("".join)


def _named(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


@_named(WHOLE)
def test_the_code_is_found_in_what_models_write(case: dict[str, Any]) -> None:
    assert code_of(case["answer"], case["language"], wish=case.get("wish", "")) == case["code"].strip("\n")


@_named(WHOLE)
def test_nothing_but_code_is_shown_while_an_answer_arrives(case: dict[str, Any]) -> None:
    final = case["code"].strip("\n")
    reasoning = [part.text for part in parts(case["answer"], done=True) if part.kind == "reasoning"]
    thoughts = {line.strip() for text in reasoning for line in text.splitlines() if len(line.strip()) > 8} - {
        line.strip() for line in final.splitlines()
    }
    for length in range(len(case["answer"])):
        shown = code_of(case["answer"][:length], case["language"], done=False, wish=case.get("wish", ""))
        assert not thoughts & {line.strip() for line in shown.splitlines()}
        assert "CODE GOES" not in shown and "<<<" not in shown
        assert "```" not in shown or "```" in final
        assert not any("<|" in line for line in shown.splitlines())


@_named(AT_CURSOR)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_at_a_cursor_only_the_code_is_shown(case: dict[str, Any], size: int) -> None:
    reader = Completion(case["prefix"], case.get("language", ""))
    given_ = [reader.feed(case["answer"][at : at + size]) for at in range(0, len(case["answer"]), size)]
    assert "".join(given_) + reader.end() == case["text"]


@given(
    SAID, st.lists(st.integers(0, 60), max_size=6), st.sampled_from(["", "python", "markdown", "go"]), st.sampled_from(["", "def f():\n    ", "x"])
)
def test_pieces_make_no_difference(said: str, cuts: list[int], language: str, prefix: str) -> None:
    whole, cut = Completion(prefix, language), Completion(prefix, language)
    edges = [0, *sorted(at for at in cuts if at < len(said)), len(said)]
    pieces = [said[start:end] for start, end in itertools.pairwise(edges)]
    assert "".join(map(cut.feed, pieces)) + cut.end() == whole.feed(said) + whole.end()


@given(SAID, st.sampled_from(["", "python", "shellscript"]))
def test_every_answer_has_an_end_and_our_marks_never_come_out(said: str, language: str) -> None:
    for done in (True, False):
        code = code_of(said, language, done=done)
        assert "<CURSOR>" not in code
        assert "<<<CODE GOES HERE>>>" not in code_of(f"{said}<<<CODE GOES HERE>>>{said}", language, done=done)


@given(st.text("abc \n=()", min_size=1).filter(lambda text: text.strip()))
def test_a_fenced_block_comes_back_as_it_is(code: str) -> None:
    assert code_of(f"```python\n{code}\n```", "python") == code.strip("\n")


def test_an_answer_is_known_to_be_reasoning_until_the_mark_comes() -> None:
    assert is_reasoning("<think>\nThe user")
    assert is_reasoning("Okay, so the user wants a loop")
    assert not is_reasoning("<think>\n</think>\n```python\n")
    assert not is_reasoning("Okay, so the user wants a loop</think>x")


def test_reasoning_that_comes_apart_is_put_between_marks() -> None:
    joined = Joined()
    said = [joined.feed("Hm", ""), joined.feed(" so", ""), joined.feed("", "x = "), joined.feed("", "1")]
    assert "".join(said) == "<think>Hm so</think>x = 1"
    assert code_of("".join(said), "python") == "x = 1"


@pytest.mark.parametrize(
    "line",
    [
        "Here is the function that you asked for.",
        "This will print the sum of the two numbers.",
        "- The first argument is the path.",
        "**Explanation:**",
        "Sure!",
        "Note that `x` must not be negative.",
        "I hope this helps!",
    ],
)
def test_a_sentence_is_prose(line: str) -> None:
    assert is_prose(line)


@pytest.mark.parametrize(
    "line",
    [
        "from a import b as c",
        "for the in items:",
        "if x is not None and y in z:",
        "    return the_sum_of(a, b)",
        "SELECT name FROM users WHERE id IN (1, 2)",
        "select * from users where name is not null",
        "echo 'this is the end of it'",
        "# This is a comment about the code.",
        "// This is what it does.",
        'puts "this is the end"',
        "const a = 1;",
        "end",
        "}",
        "total = a + b",
        "print(this_is_it)",
        "RUN pip install numpy",
        "import numpy as np",
        "",
    ],
)
def test_a_line_of_code_is_no_prose(line: str) -> None:
    assert not is_prose(line)
