"""What of a model's rewriting is not shown, and why; and what a correct edit must not be refused for."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_formats import situation

from infill.edits import model
from infill.edits.filters import MOST_NEW_LINES, content, refusal
from infill.edits.formats import Question
from infill.edits.rewrite import changes
from infill.edits.sound import parses


def reason(before: str, text: str, after: str, language: str = "python", rejected: frozenset[str] = frozenset()) -> str:
    """Why the first edit from `text` (`|`: the cursor) to `after` is refused; `before`: the document when it was opened."""
    now = situation(before, text, language)
    first = changes(now.lines, after.split("\n"), 0, now.cursor[0])[0]
    return refusal(model.proposing(now, rejected=rejected)(first))


REFUSED = [
    ("it changes white space only", "python", "a\n", "b|\n", "b  \n"),
    ("it changes the layout only", "javascript", "a;\n", "b;|\nf(() => g(x), y);\n", "b;\nf(() => {\n  g(x);\n}, y);\n"),
    ("it holds control tokens", "python", "a\n", "b|\nc\n", "b\nc<|endoftext|>\n"),
    ("it takes back a recent edit", "python", "total = rate\nx = 1\n", "total = tax|\nx = 1\n", "total = rate\nx = 1\n"),
    ("it takes back a recent edit", "python", "def old(a, b):\n    return a\n", "x = 1|\n", "x = 1\ndef old(a, b):\n"),
    ("it takes back a recent edit", "python", "a = 1\nb = 2\n", "a = 1\nfresh = 3|\nb = 2\n", "a = 1\nb = 2\n"),
    ("it repeats the lines beside it", "python", "a\n", "b|\nx = f(1)\ny = 2\n", "b\nx = f(1)\nx = f(1)\ny = 2\n"),
    (
        "it inserts lines above the cursor that no edit calls for",
        "python",
        "a = 0\n",
        "a = 1\nb = 2|\n",
        "a = 1\ndef f(x):\n    y = x\n    return y\nb = 2\n",
    ),
    ("it comments code out", "go", "a\nresult := f(x)\n", "b|\nresult := f(x)\n", "b\n// result := f(x)\n"),
    ("it comments code out", "python", "a\nresult = f(x)\n", "b|\nresult = f(x)\n", "b\n# result = f(x)\n"),
    ("it removes an import that no edit made unnecessary", "python", "a = 0\nimport os\n", "a = 1|\nimport os\n", "a = 1\nimport re\n"),
    ("it removes an import that no edit made unnecessary", "rust", "a\nuse std::fmt;\n", "b|\nuse std::fmt;\n", "b\n"),
    ("it imports what is imported already", "python", "a = 0\nfrom x import y\n", "a = 1|\nfrom x import y\n", "a = 1\nimport x\nfrom x import y\n"),
    (
        "it uses a name that no longer exists",
        "go",
        "func f(msg M) {\n\tg(msg.B)\n}\n",
        "func f(msgs|) {\n\tg(msg.B)\n}\n",
        "func f(msgs) {\n\tg(msgs, msg.B)\n}\n",
    ),
    ("it uses a module that is not imported", "python", "a = 0\n", "a = 1|\nx = f()\n", "a = 1\nx = asyncio.run(f())\n"),
    ("the document would no longer parse", "python", "a = 0\n", "a = 1|\nx = f()\n", "a = 1\nx = f(\n"),
    ("the document would no longer parse", "typescript", "a\n", "b|\nf({ c });\n", "b\nf({ c );\n"),
]


@pytest.mark.parametrize(("expected", "language", "before", "text", "after"), REFUSED)
def test_an_edit_is_refused_with_its_reason(expected: str, language: str, before: str, text: str, after: str) -> None:
    assert reason(before, text, after, language) == expected


SHOWN = [
    ("python", "def f(rate):\n    return rate\n", "def f(tax|):\n    return rate\n", "def f(tax):\n    return tax\n"),
    ("python", "from x import y\n", "imfrom x import y|\n", "from x import y\n"),
    ("javascript", "function byStatus() {\n}\n", "function byCat|() {\n}\n", "function byCategory() {\n}\n"),
    ("go", "f()\nresult := 1\n", "f()\n/|\nresult := 1\n", "f()\n// Result of f.\nresult := 1\n"),
    ("typescript", "class A {\n}\nclass B {\n}\n", "@mark|\nclass A {\n}\nclass B {\n}\n", "@mark\nclass A {\n}\n@mark\nclass B {\n}\n"),
    ("python", "import os\nx = os.name\n", "import os\nx = 1|\n", "x = 1\n"),
    (
        "go",
        "func f(msg M) {\n\tg(msg.B)\n}\n",
        "func f(msgs|) {\n\tg(msg.B)\n}\n",
        "func f(msgs) {\n\tfor _, msg := range msgs {\n\t\tg(msg.B)\n\t}\n}\n",
    ),
    ("python", "x = 0\ny = f()\n", "x = 1|\ny = f()\n", "import asyncio\nx = 1\ny = f()\n"),
]


@pytest.mark.parametrize(("language", "before", "text", "after"), SHOWN)
def test_an_edit_that_follows_from_the_last_one_is_not_refused(language: str, before: str, text: str, after: str) -> None:
    assert reason(before, text, after, language) == ""


def test_a_rejected_content_is_not_shown_again_at_another_place() -> None:
    assert reason("a\n", "b|\n  x = 1\n", "b\n  x = 2\n", rejected=frozenset({content(["x = 1"], ["x = 2"])})) == "it was rejected before"


def test_more_than_twenty_new_lines_are_not_shown() -> None:
    added = "".join(f"x{number} = {number}\n" for number in range(MOST_NEW_LINES + 1))
    assert reason("a = 0\n", "a = 1|\n", f"a = 1\n{added}") == f"it adds more than {MOST_NEW_LINES} lines"


def answered(before: str, text: str, answer: str, *, language: str = "python", **more: float) -> model.Verdict:
    now = situation(before, text, language)
    question = Question(format="zeta2", first=0, end=len(now.lines), old=tuple(now.lines))
    growing = model.Growing(question)
    growing.add(answer)
    return model.conclude(growing, question, model.proposing(now), **more)  # type: ignore[arg-type]


def test_edits_after_one_that_is_refused_are_not_shown() -> None:
    text = "a = 1|\nb = f()\n\n\n\nc = g()\n"
    assert answered("a = 0\nb = f()\n\n\n\nc = g()\n", text, "a = 1\n# b = f()\n\n\n\nc = h()\n").reason == "it comments code out"


def test_edits_that_are_sound_only_together_are_one() -> None:
    text = "a(1);|\nb();\n\n\n\nc();\nd();\n"
    found = answered("a(0);\nb();\n\n\n\nc();\nd();\n", text, "a(1);\nif (x) {\nb();\n\n\n\nc();\n}\nd();\n", language="javascript")
    assert len(found.edits) == 1 and not found.reason


def test_an_answer_cut_at_the_token_limit_is_not_shown() -> None:
    assert answered("a\n", "b|\nc\n", "b\nd", cut=True).reason == "the answer reached the token limit"


def test_an_answer_below_the_confidence_gate_is_not_shown() -> None:
    assert "not sure enough" in answered("a = 0\nc = 0\n", "a = 1|\nc = 0\n", "a = 1\nc = 1\n", mean_logprob=-0.8, gate=-0.3).reason


TEXT = st.text(st.sampled_from("ab(){}\n =#'\"<|>/"), max_size=60)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(TEXT, TEXT, TEXT, st.sampled_from(["python", "rust", "javascript", "markdown", "json", "nothing known"]))
def test_no_answer_breaks_anything_and_what_is_shown_keeps_a_sound_document_sound(before: str, text: str, answer: str, language: str) -> None:
    found = answered(before, text + "|", answer, language=language)
    now = situation(before, text + "|", language)
    for change in found.edits:
        after = [*now.lines[: change.first], *change.new, *now.lines[change.end :]]
        assert after != now.lines
        assert not (parses("\n".join(now.lines), language) is True and parses("\n".join(after), language) is False)
